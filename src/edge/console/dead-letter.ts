/** One dead letter, and plans: what would be done, how far it is. */
import type { Context } from 'hono'
import { html } from 'hono/html'
import type * as z from 'zod'
import { figure } from '../../core/words.ts'
import type { letter as letterSchema, planRun, plan as planSchema } from '../contract/dead.ts'
import { actionButtons, actionWords } from './dead-list.ts'
import { type Desk, deskOf } from './desk.ts'
import {
  button,
  facts,
  form,
  hidden,
  type Markup,
  notice,
  type Part,
  page,
  refused,
  section,
  table,
  time,
} from './page.ts'

type Letter = z.output<typeof letterSchema>
type Update = NonNullable<Letter['update']>
type PlanState = z.output<typeof planSchema> & z.output<typeof planRun>

const reasonWords: Readonly<Record<string, string>> = {
  rejected: 'Target refused it',
  refused_repeatedly: 'Target refused it again and again, with all that it was sent with',
  expired: 'it waited longer than RETENTION_HOURS',
  overtaken_unconfirmed: 'a newer value, whose fate is unknown, kept it waiting until it was too old',
  unmappable: 'the mapping of its source could not read it',
  unreadable: 'no key or version opens it',
  ledger_lost: 'the ledger lost its state since it came in',
  confirmation: 'a sender asks for its subscription to be confirmed: do what it says',
  sealed: 'nothing of it can be read, neither content nor head',
}

/** @param reveal with values and ids; on record */
export async function deadLetter(c: Context, reveal = false): Promise<Response> {
  const desk = deskOf(c)
  const key = `${c.req.param('version')}/${c.req.param('name')}`
  const told = await desk.ask<Letter>(`/dead/${key}?remap=1${reveal ? '&reveal=1' : ''}`)
  if (!told.ok) return refused(c, 'dead', told)
  const letter = told.body
  const { reason, source, at, firstSeenAt, attempts, detail, visitor, unreadable, eventId } = letter
  return c.html(
    page(
      desk,
      { at: 'dead', title: 'Dead letter' },
      facts(
        ['Reason', html`<b>${reason.replaceAll('_', ' ')}</b><span>${reasonWords[reason]}</span>`],
        ['Source', source ?? '–'],
        ['Set aside', at === undefined ? '–' : time(at, desk.nowMs)],
        ['First seen', firstSeenAt === undefined ? '–' : time(firstSeenAt, desk.nowMs)],
        ['Tries', figure(attempts ?? 0)],
      ),
      detail !== undefined && section('What was said', html`<pre>${detail}</pre>`),
      unreadable !== undefined && notice('warn', `It cannot be read: ${unreadable}`),
      letter.update && section('The update', updateTable(letter.update, desk)),
      'rawCharacters' in letter && section('The event as it came', rawOf(letter)),
      letter.mapped && section('Mapped again, now', mappedOf(letter.mapped, desk)),
      section(
        'Key',
        html`<p><code>${key}</code>${visitor !== undefined && html`, of the visitor <a href="${desk.root}dead?visitor=${visitor}"><code>${visitor}</code></a>`}${eventId !== undefined && html`, event <code>${eventId}</code>`}</p>`,
        !desk.looksOnly &&
          !reveal &&
          form(desk, `dead/letter/${key}/reveal`, button('Show values and ids'), html`<small>It is on record.</small>`),
        !desk.looksOnly && form(desk, 'dead/plan', hidden('key', key), actionButtons()),
      ),
    ),
  )
}

function updateTable({ visitor, attributes, occurredAt }: Update, { nowMs }: Desk): Markup {
  const [name = '', id = ''] = Object.entries(visitor)[0] ?? []
  const who = typeof id === 'number' ? `${name.replace('Characters', '')} of ${figure(id)} characters` : `${name} ${id}`
  return table(
    html`${who}, of ${time(occurredAt, nowMs)}`,
    ['attribute', 'value'],
    attributes.map(({ name, value, characters = 0 }) => [
      name,
      html`<span class="long">${value ?? `${figure(characters)} characters`}</span>`,
    ]),
  )
}

function rawOf({ raw, rawCharacters = 0 }: Letter): Part {
  return raw === undefined ? html`<p>${figure(rawCharacters)} characters</p>` : html`<pre>${raw}</pre>`
}

/** What its source makes of the event now. */
function mappedOf({ reason, updates = [] }: NonNullable<Letter['mapped']>, desk: Desk): Part {
  if (reason !== undefined) return notice('warn', `It still cannot be read: ${reason}`)
  if (updates.length === 0) return notice('plain', 'It would change nothing: the letter would go.')
  return [
    notice('ok', `It would give ${figure(updates.length)} ${updates.length === 1 ? 'update' : 'updates'}.`),
    updates.map((update) => updateTable(update, desk)),
  ]
}

const stayWords: Readonly<Record<string, string>> = {
  too_old: 'older than RETENTION_HOURS; as new it would go',
  lost: 'from before a loss of the ledger; as new it would go',
  unfit: 'this is not for it: an event to be mapped, or an update',
  unmappable: 'the mapping still cannot read it',
  unreadable: 'no key opens it',
}

export async function planPage(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const told = await desk.ask<PlanState>(`/dead/plans/${encodeURIComponent(c.req.param('id') ?? '')}`)
  if (!told.ok) return refused(c, 'dead', told)
  const { plan, action, state, letters, updates, calls, superseded, stay, doneBy, done, of, failed, expiresAt } =
    told.body
  const looks = await Promise.all(
    (c.req.queries('look') ?? [])
      .slice(0, 3)
      .map((key) => desk.ask<Letter>(`/dead/${key.split('/').map(encodeURIComponent).join('/')}?remap=1`)),
  )
  return c.html(
    page(
      desk,
      { at: 'dead', title: `Plan: ${actionWords[action]}`, again: state === 'planning' || state === 'running' },
      notice(state === 'done' ? 'ok' : state === 'cancelled' ? 'warn' : 'plain', stateOf(desk, told.body)),
      facts(
        ['Letters', html`<b>${figure(letters)}</b><span>the set is fixed: what is set aside later is not in it</span>`],
        ...(action === 'drop'
          ? []
          : [
              [
                'Updates',
                html`<b>${figure(updates ?? 0)}</b><span>${superseded !== undefined && superseded > 0 && `about ${figure(superseded)} of them are superseded`}</span>`,
              ] as const,
              ['Calls', html`<b>${figure(calls ?? 0)}</b><span>at most</span>`] as const,
              [
                'Through by',
                html`<b>${doneBy === undefined ? '–' : time(doneBy, desk.nowMs)}</b><span>by the forecast</span>`,
              ] as const,
            ]),
        [
          'Would stay',
          html`<b>${figure(Object.values(stay).reduce((all, one) => all + one, 0))}</b><span>of the letters</span>`,
        ],
      ),
      (state === 'running' || state === 'done' || state === 'cancelled') &&
        section(
          'Progress',
          html`<label>${figure(done)} of ${figure(of)} done, ${figure(failed)} stay<progress max="${of}" value="${done + failed}"></progress></label>`,
        ),
      Object.keys(stay).length > 0 &&
        section(
          'What stays, and why',
          table(
            '',
            ['why', 'what it means', 'letters'],
            Object.entries(stay).map(([why, count]) => [
              why.replaceAll('_', ' '),
              html`<span class="long">${stayWords[why]}</span>`,
              count,
            ]),
          ),
        ),
      looks.map(
        (look) =>
          look.ok &&
          look.body.mapped &&
          section(
            `Before and after: a letter of ${look.body.source ?? 'a source'}`,
            html`<div class="two"><div><h3>Before</h3><pre>${look.body.detail}</pre></div><div><h3>After</h3>${mappedOf(look.body.mapped, desk)}</div></div>`,
          ),
      ),
      !desk.looksOnly && planForms(desk, told.body),
      html`<p><a href="${desk.root}dead">Dead letters</a>${state === 'planned' && html` · may be run until ${time(expiresAt, desk.nowMs)}`}</p>`,
    ),
  )

  function planForms(desk: Desk, { state }: PlanState): Part {
    const cancel = form(desk, `dead/plans/${plan}/cancel`, button(state === 'running' ? 'Stop it' : 'Forget it'))
    const run = form(
      desk,
      `dead/plans/${plan}/run`,
      button(`Do it: ${actionWords[action]} ${figure(letters)}`, action === 'drop' ? { grave: true } : {}),
    )
    if (state === 'planned') return html`<div class="side">${run}${cancel}</div>`
    return (state === 'planning' || state === 'running') && cancel
  }
}

function stateOf({ nowMs: _ }: Desk, { state, done, failed }: PlanState): string {
  switch (state) {
    case 'planning':
      return 'The set is not whole yet: it is made behind the next flushes. Look again in a minute.'
    case 'planned':
      return 'Nothing is done yet. This is what would be.'
    case 'running':
      return 'It is being done, a part behind each flush.'
    case 'done':
      return `It is done: ${figure(done)} went, ${figure(failed)} stay.`
    case 'cancelled':
      return `It was ended: ${figure(done)} went before; what is done stays done.`
  }
}

/** Begins or ends a plan, and shows it. */
export async function stepPlan(c: Context, step: 'run' | 'cancel'): Promise<Response> {
  const desk = deskOf(c)
  const id = c.req.param('id') ?? ''
  const told = await (step === 'run'
    ? desk.ask('/dead/run', { plan: id })
    : desk.ask(`/dead/plans/${encodeURIComponent(id)}/cancel`, {}))
  if (!told.ok) return refused(c, 'dead', told)
  return c.redirect(`${desk.root}dead/plans/${encodeURIComponent(id)}`, 303)
}
