/** One visitor: what was delivered, what waits, what is dead, what happened, and what Target holds where asked. */
import type { Context } from 'hono'
import { html } from 'hono/html'
import type * as z from 'zod'
import { verdictOf } from '../../core/operator/visitor/verdict.ts'
import { counted, figure } from '../../core/words.ts'
import type { whereabouts } from '../contract/admin.ts'
import { type Desk, deskOf } from './desk.ts'
import { fieldOf, visitorIn } from './fields.ts'
import {
  button,
  form,
  hidden,
  input,
  type Markup,
  nothing,
  notice,
  type Part,
  page,
  refused,
  section,
  select,
  table,
  time,
} from './page.ts'

type Found = z.output<typeof whereabouts>
type InTarget = NonNullable<Found['inTarget']>

export function visitorFields(kind = 'thirdPartyId', id = ''): Part {
  return [
    select(
      'Kind',
      'kind',
      [
        ['thirdPartyId', 'thirdPartyId'],
        ['pcId', 'pcId'],
      ],
      kind,
    ),
    input('Visitor’s id', 'id', { value: id, required: true }),
  ]
}

function question(desk: Desk, kind?: string, id?: string, asks = false): Markup {
  return section(
    'Whose updates?',
    form(
      desk,
      'visitor',
      visitorFields(kind, id),
      html`<label class="check"><input type="checkbox" name="target" value="1"${asks && html` checked`}> ask Target, too, what it holds</label>`,
      button('Look'),
    ),
    html`<p class="none">Target shows an update usually within an hour, at most after 24 hours. The id stands in no address and no log.${
      !desk.looksOnly && ' To see values of Target’s is on record.'
    }</p>`,
  )
}

export function visitorPage(c: Context): Response | Promise<Response> {
  const desk = deskOf(c)
  return c.html(page(desk, { at: 'visitor', title: 'Visitor' }, question(desk)))
}

export async function visitorFound(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const [kind, id, asks] = [fieldOf(c, 'kind'), fieldOf(c, 'id').trim(), fieldOf(c, 'target') === '1']
  const told = await desk.ask<Found>('/visitor', { visitor: visitorIn(c), ...(asks ? { target: true } : {}) })
  if (!told.ok) return refused(c, 'visitor', told)
  const { attributes, history, waiting, dead, entries, unreadable, complete, more, heldUntil, inTarget, deadMore } =
    told.body
  const unknown = attributes.length + entries + dead.length + history.length === 0
  return c.html(
    page(
      desk,
      { at: 'visitor', title: 'Visitor' },
      question(desk, kind, id, asks),
      unknown && notice('plain', 'The relay knows nothing of this visitor: nothing arrived under this id.'),
      inTarget && inTarget.kind !== 'found' && notice('warn', targetWords(inTarget)),
      heldUntil !== undefined && notice('plain', html`Held back by its source until ${time(heldUntil, desk.nowMs)}.`),
      !complete && notice('plain', 'More waits than the relay read: the oldest are shown.'),
      unreadable > 0 && notice('warn', `${counted(unreadable, 'update')} that wait can be read by no key or version.`),
      attributes.length > 0 && section('Attributes', attributesTable(told.body, desk)),
      more === true && html`<p class="none">The relay knows of more attributes than these.</p>`,
      !unknown && section('What happened', timeLine(history, desk)),
      waiting.length > 0 &&
        section(
          `Waiting: ${figure(entries)}`,
          table(
            'Oldest first',
            ['of', 'first seen', 'source', 'attributes', 'because of'],
            waiting.map((one) => [
              time(one.at, desk.nowMs),
              time(one.firstSeenAt, desk.nowMs),
              one.source,
              html`<span class="long">${one.names.join(', ')}</span>`,
              one.reason?.replaceAll('_', ' '),
            ]),
          ),
        ),
      dead.length > 0 &&
        section(
          'Dead letters',
          table(
            'Newest first',
            ['letter', 'reason', 'source', 'what was said'],
            dead.map((one) => [
              html`<a href="${desk.root}dead/letter/${one.key}">${one.at === undefined ? 'letter' : time(one.at, desk.nowMs)}</a>`,
              one.reason.replaceAll('_', ' '),
              one.source,
              html`<span class="long">${one.detail}</span>`,
            ]),
          ),
          deadMore === true && html`<p class="none">There may be more.</p>`,
        ),
      !desk.looksOnly && !unknown && eraseSection(desk, kind, id),
    ),
  )
}

function targetWords({ kind, status }: InTarget): string {
  if (kind === 'unknown')
    return 'Target knows no such profile: it ignores updates of it without a word, until the visitor comes to the site.'
  if (kind === 'denied') return 'Target does not take TARGET_TOKEN.'
  return `Target gave no profile${status === undefined ? '' : `: it answered ${status}`}. Ask again later.`
}

function attributesTable({ attributes, inTarget }: Found, { nowMs }: Desk): Markup {
  const held =
    inTarget?.kind === 'found' ? new Map((inTarget.attributes ?? []).map((one) => [one.name, one])) : undefined
  const others = [...(held?.keys() ?? [])].filter((name) => attributes.every((one) => one.name !== name)).length
  return html`${table(
    held === undefined ? 'By the relay’s own book' : 'The relay’s book beside Target’s profile',
    ['attribute', 'accepted by Target', 'fate open', 'waiting', ...(held ? ['in Target', 'changed there', 'so'] : [])],
    attributes.map((one) => {
      const there = held?.get(one.name)
      const value = there === undefined ? '–' : (there.value ?? counted(there.characters ?? 0, 'character'))
      return [
        one.name,
        one.deliveredAt && time(one.deliveredAt, nowMs),
        one.openAt && time(one.openAt, nowMs),
        one.waitingAt.length,
        ...(held
          ? [
              html`<span class="long">${value}</span>`,
              there?.modifiedAt === undefined ? '' : shownTime(there.modifiedAt, nowMs),
              verdictOf(one, there),
            ]
          : []),
      ]
    }),
  )}${others > 0 && html`<p class="none">Target holds ${counted(others, 'more attribute')} that this relay knows nothing of.</p>`}`
}

/** Target's own text, which may be anything. */
function shownTime(text: string, nowMs: number): Part {
  return Number.isNaN(Date.parse(text)) ? text : time(new Date(text).toISOString(), nowMs)
}

function timeLine(history: Found['history'], { nowMs }: Desk): Part {
  if (history.length === 0) return nothing('Nothing that is remembered: the last eight happenings are.')
  return html`<ol class="line">${history.map(
    ({ at, what, reason, source, names = [], merged, receivedAt }) =>
      html`<li><b>${what.replaceAll('_', ' ')}</b> ${time(at, nowMs)}${reason !== undefined && ` because of ${reason.replaceAll('_', ' ')}`}${source !== undefined && `, from ${source}`}${merged !== undefined && `, with ${merged} more in one call`}${receivedAt !== undefined && html`, received ${time(receivedAt, nowMs)}`}<br><span class="none">${names.join(', ')}</span></li>`,
  )}</ol>`
}

export function eraseSection(desk: Desk, kind?: string, id?: string): Markup {
  const named = id === undefined ? visitorFields() : [hidden('kind', kind ?? ''), hidden('id', id)]
  return section(
    'Erase',
    form(
      desk,
      'steering/erase',
      named,
      html`<label class="check"><input type="checkbox" name="sure" value="1" required> remove this visitor from ledger, backlog and dead letters, for good</label>`,
      button('Erase', { grave: true }),
    ),
  )
}
