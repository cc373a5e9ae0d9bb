/** Sources: what each is, what came of it, why its sender is not authenticated, and what it would make of an event. */
import type { Context } from 'hono'
import { html } from 'hono/html'
import type * as z from 'zod'
import { counted, figure } from '../../core/words.ts'
import type { trial as trialSchema } from '../contract/senders.ts'
import type { sources as sourcesSchema } from '../contract/sources.ts'
import { large, outcomeBars, outcomes, outcomesOf } from './charts/outcome-bars.ts'
import { legend } from './charts/scale.ts'
import { type Desk, deskOf, type Told } from './desk.ts'
import { fieldOf } from './fields.ts'
import { barsOf, hourly, type Series, sumOfSource } from './figures.ts'
import {
  button,
  chart,
  facts,
  form,
  type Markup,
  nothing,
  notice,
  type Part,
  page,
  problemParts,
  refused,
  section,
  table,
  time,
} from './page.ts'

type Source = z.output<typeof sourcesSchema>['sources'][number]
type Trial = z.output<typeof trialSchema>

const barHours = 3
/** Of a trial. */
const updatesShown = 20

export async function sourceList(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const [told, series] = await Promise.all([desk.ask<{ sources: readonly Source[] }>('/sources'), hourly(desk)])
  if (!told.ok) return refused(c, 'sources', told)
  const { sources } = told.body
  return c.html(
    page(
      desk,
      { at: 'sources', title: 'Sources', again: true },
      sources.length === 0 &&
        notice('warn', 'There are no sources: every webhook is answered 404. Write one in sources.ts.'),
      section(
        `${counted(sources.length, 'source')}, 72 hours`,
        table(
          'Last event: the hour in which it came',
          ['source', 'authenticated by', 'last event', ...outcomes.map(([, text]) => text), 'secret'],
          sources.map((source) => {
            const all = outcomesOf(sumOfSource(series, source.name))
            const last = lastEvent(series, source.name)
            return [
              html`<a href="${desk.root}sources/${source.name}">${source.name}</a>`,
              source.scheme,
              last === undefined ? '–' : time(last, desk.nowMs),
              ...outcomes.map(([kind]) => all[kind]),
              source.problem === undefined
                ? 'well'
                : html`<span class="long warn"><em>look</em> ${source.problem}</span>`,
            ]
          }),
        ),
      ),
    ),
  )
}

/** Where the last slot begins in which anything of it came in. */
function lastEvent(slots: Series['slots'], source: string): string | undefined {
  return slots.findLast(({ counts }) => (counts[source]?.['received'] ?? 0) > 0)?.at
}

export async function sourcePage(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const sample = desk.looksOnly ? undefined : await desk.ask<Trial>(`/sources/${nameIn(c)}/map`, {})
  return show(
    c,
    desk,
    sample === undefined || !hasSample(sample)
      ? undefined
      : section('Its sample, through the mapping', trialParts(sample)),
  )
}

function hasSample(told: Told<Trial>): boolean {
  return !told.ok || told.body.reason !== 'the source has no sample'
}

/** What the source would make of a pasted event. */
export async function tryEvent(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const event = fieldOf(c, 'event')
  const told = await desk.ask<Trial>(`/sources/${nameIn(c)}/map`, { event })
  if (!told.ok && told.status !== 422) return refused(c, 'sources', told)
  return show(c, desk, section('What the event would do', trialParts(told)), event)
}

function nameIn(c: Context): string {
  return encodeURIComponent(c.req.param('source') ?? '')
}

async function show(c: Context, desk: Desk, tried: Part, event = ''): Promise<Response> {
  const dayAgo = new Date(desk.nowMs - 86_400_000).toISOString()
  const [told, series, recent] = await Promise.all([
    desk.ask<{ sources: readonly Source[] }>('/sources'),
    hourly(desk),
    desk.ask<Series>(`/series?from=${dayAgo}`),
  ])
  if (!told.ok) return refused(c, 'sources', told)
  const source = told.body.sources.find(({ name }) => name === c.req.param('source'))
  if (source === undefined) return refused(c, 'sources', { ok: false, status: 404, title: 'There is no such source' })
  const last = lastEvent(recent.ok ? recent.body.slots : [], source.name) ?? lastEvent(series, source.name)
  const counts = sumOfSource(series, source.name)
  return c.html(
    page(
      desk,
      { at: 'sources', title: `Source ${source.name}`, again: event === '' },
      source.problem !== undefined && notice('warn', source.problem),
      sourceFacts(source, last, desk),
      event !== '' && tried,
      figureOf(source, series, desk),
      failures(counts),
      event === '' && tried,
      !desk.looksOnly &&
        section(
          'Try an event',
          form(
            desk,
            `sources/${source.name}/try`,
            html`<label class="wide">A body as its sender would send it<textarea name="event" spellcheck="false" required>
${event}</textarea></label>`,
            button('See what it would do'),
          ),
          html`<p class="none">Nothing is sent and nothing is kept.</p>`,
        ),
    ),
  )
}

function sourceFacts(source: Source, last: string | undefined, { nowMs }: Desk): Markup {
  const { name, scheme, format, lane, methods, secrets, share, skipUnchanged, delaySeconds, attributes } = source
  return facts(
    [
      'Last event',
      last === undefined
        ? html`<b>–</b><span>none within 72 hours</span>`
        : html`<b>${time(last, nowMs)}</b><span>or in the ten minutes after</span>`,
    ],
    ['Address', html`<code>${methods.join(', ')} /hooks/${name}</code>`],
    ['Authenticated by', html`${scheme}<br><span>${counted(secrets, 'secret')} set</span>`],
    ['Body', format],
    [
      'Lane',
      html`${lane}${share !== undefined && html`<br><span>${figure(share * 100)} % of the quota before others</span>`}`,
    ],
    ...(skipUnchanged === undefined ? [] : [['Unchanged values', 'make no call'] as const]),
    ...(delaySeconds === undefined ? [] : [['Held back', `${figure(delaySeconds)} s`] as const]),
    ...(attributes === undefined ? [] : [['May set', attributes.join(', ')] as const]),
  )
}

function figureOf({ name }: Source, series: Series['slots'], { nowMs }: Desk): Markup {
  const bars = barsOf(series, name, nowMs, barHours)
  const all = outcomesOf(sumOfSource(series, name))
  return chart(
    `What came of it, 72 hours by ${barHours}`,
    outcomeBars(
      outcomes.map(([kind, text]) => `${text} ${figure(all[kind])}`).join(', '),
      bars.map(([, bar]) => bar),
      large,
    ),
    legend(outcomes.map(([kind, text]) => [`outcome ${kind}`, `${text} ${figure(all[kind])}`])),
    table(
      `In each ${barHours} hours`,
      ['from', ...outcomes.map(([, text]) => text)],
      bars.map(([atMs, bar]) => [time(new Date(atMs).toISOString(), nowMs), ...outcomes.map(([kind]) => bar[kind])]),
    ),
  )
}

/** By why. The causes and what to do: docs/http.md, "Authentication failures". */
const failureWords: Readonly<Record<string, string>> = {
  header_missing: 'no signature, token or timestamp: another sender, or one that does not sign yet',
  malformed: 'the signature or timestamp is not in the format of the scheme',
  no_secret: 'its secret is not set here, or is none that this scheme can read',
  stale: 'the timestamp is too far from now: set the clocks, or it is a copy of an old request',
  mismatch: 'no secret fits: another secret, a body that something changed, or another URL than was signed',
}

function failures(counts: Readonly<Record<string, number>>): Part {
  const prefix = 'unauthenticated_'
  const rows = Object.entries(counts).filter(([name]) => name.startsWith(prefix))
  return (
    rows.length > 0 &&
    section(
      'Why it was not authenticated',
      table(
        'Requests of 72 hours',
        ['why', 'what it means', 'requests'],
        rows.map(([name, count]) => {
          const why = name.slice(prefix.length)
          return [why.replaceAll('_', ' '), html`<span class="long">${failureWords[why]}</span>`, count]
        }),
      ),
    )
  )
}

function trialParts(told: Told<Trial>): Part {
  if (!told.ok) return notice('fail', problemParts(told))
  const { status, reason, updates = [], units = 0 } = told.body
  if (status === 'unmappable') return notice('warn', `It cannot be mapped: ${reason}`)
  if (status === 'ignored') return nothing('It would change nothing.')
  return [
    html`<p>It would give ${counted(updates.length, 'update')}, and take ${counted(units, 'unit')} of the quota.</p>`,
    updates.slice(0, updatesShown).map(({ visitor, attributes, occurredAt, calls }) => [
      table(
        html`${Object.entries(visitor).flat().join(' ')}, of ${occurredAt}`,
        ['attribute', 'value'],
        attributes.map(({ name, value }) => [name, html`<span class="long">${value}</span>`]),
      ),
      calls.map(({ method, url, body }) => html`<pre>${method} ${url}${body !== undefined && `\n\n${body}`}</pre>`),
    ]),
    updates.length > updatesShown && nothing(`And ${figure(updates.length - updatesShown)} more.`),
  ]
}
