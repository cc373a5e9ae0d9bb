/** Dead letters: the list, its filter, and what is to be done with some of them or with all that fit. */
import type { Context } from 'hono'
import { html } from 'hono/html'
import type * as z from 'zod'
import { deadReasons } from '../../core/backlog/port.ts'
import { given } from '../../core/given.ts'
import { breakdown, figure } from '../../core/words.ts'
import type { letters as lettersSchema, plan as planSchema, plans as plansSchema } from '../contract/dead.ts'
import { type Desk, deskOf } from './desk.ts'
import { allOf, fieldOf, queryOf, visitorIn } from './fields.ts'
import type { Status } from './headline.ts'
import {
  button,
  form,
  hidden,
  input,
  type Markup,
  nothing,
  type Part,
  page,
  refused,
  section,
  select,
  table,
  time,
} from './page.ts'
import { visitorFields } from './visitor.ts'

export type Letters = z.output<typeof lettersSchema>
type Letter = Letters['letters'][number]
export type Plan = z.output<typeof planSchema>

const lettersShown = 50
/** Of a set that is to be mapped again. */
const examples = 3

interface Filter {
  readonly reason: string
  readonly source: string
  readonly before: string
  readonly visitor: string
}

const filterNames = ['reason', 'source', 'before', 'visitor'] as const

function filterFrom(read: (name: string) => string | undefined): Filter {
  const [reason = '', source = '', before = '', visitor = ''] = filterNames.map((name) => read(name) ?? '')
  return { reason, source, visitor, before: isoMinute(before) }
}

/** A browser's field of a time has neither seconds nor a zone. */
function isoMinute(text: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text) ? `${text}:00Z` : text
}

export async function deadList(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const filter = filterFrom((name) => c.req.query(name))
  const cursor = c.req.query('cursor')
  const [told, plans, status] = await Promise.all([
    desk.ask<Letters>(`/dead${queryOf({ ...filter, cursor, limit: String(lettersShown) })}`),
    desk.ask<z.output<typeof plansSchema>>('/dead/plans'),
    desk.ask<Status>('/status'),
  ])
  if (!told.ok) return refused(c, 'dead', told)
  const { letters, cursor: next } = told.body
  const dead = status.ok ? status.body.dead : undefined
  const open = plans.ok ? plans.body.plans : []
  return c.html(
    page(
      desk,
      { at: 'dead', title: 'Dead letters', again: true },
      section(
        `${figure(dead?.count ?? letters.length)} in all`,
        dead !== undefined && html`<p>${breakdown(dead.byReason).replaceAll('_', ' ')}</p>`,
        filterForms(desk, filter, Object.keys(dead?.bySource ?? {})),
      ),
      open.length > 0 && section('Plans', plansTable(desk, open)),
      section(
        isEmpty(filter) ? 'Newest first' : 'Those that fit, newest first',
        letters.length === 0 && next === undefined ? nothing('No letter is here.') : letterForm(desk, filter, letters),
        next !== undefined &&
          html`<p><a href="${desk.root}dead${queryOf({ ...filter, cursor: next })}">Older ones</a></p>`,
      ),
    ),
  )
}

function isEmpty(filter: Filter): boolean {
  return Object.values(filter).every((value) => value === '')
}

function filterForms(desk: Desk, { reason, source, before, visitor }: Filter, sources: readonly string[]): Markup {
  const any = [['', 'any']] as const
  return html`<form action="${desk.root}dead">${select('Reason', 'reason', [...any, ...deadReasons.map((one) => [one, one.replaceAll('_', ' ')] as const)], reason)}
${select('Source', 'source', [...any, ...[...new Set([...sources, ...(source === '' ? [] : [source])])].sort().map((one) => [one, one] as const)], source)}
${input('Set aside before (UTC)', 'before', { type: 'datetime-local', value: before.slice(0, 16) })}
${visitor !== '' && hidden('visitor', visitor)}${button('Filter')}${!isEmpty({ reason, source, before, visitor }) && html`<a href="${desk.root}dead">All letters</a>`}</form>
<details><summary>Of one visitor</summary>${form(desk, 'dead/visitor', visitorFields(), button('Find'))}</details>`
}

function plansTable({ root }: Desk, plans: z.output<typeof plansSchema>['plans']): Markup {
  return table(
    'Under way, or not forgotten yet',
    ['plan', 'what', 'state', 'done', 'of', 'stay'],
    plans.map(({ plan, action, state, done, of, failed }) => [
      html`<a href="${root}dead/plans/${plan}">${plan}</a>`,
      actionWords[action],
      state,
      done,
      of,
      failed,
    ]),
  )
}

export const actionWords = { replay: 'send again', remap: 'map again', drop: 'remove' } as const

/** A table, and for who may act a form around it. */
function letterForm(desk: Desk, filter: Filter, letters: readonly Letter[]): Part {
  const rows = table(
    '',
    [...(desk.looksOnly ? [] : ['select']), 'letter', 'reason', 'source', 'first seen', 'tries', 'what was said'],
    letters.map((letter) => [
      ...(desk.looksOnly
        ? []
        : [html`<input type="checkbox" name="key" value="${letter.key}" aria-label="Letter of ${letter.at}">`]),
      html`<a href="${desk.root}dead/letter/${letter.key}">${letter.at === undefined ? 'letter' : time(letter.at, desk.nowMs)}</a>`,
      letter.reason.replaceAll('_', ' '),
      letter.source,
      letter.firstSeenAt && time(letter.firstSeenAt, desk.nowMs),
      letter.attempts ?? 0,
      html`<span class="long">${letter.detail}</span>`,
    ]),
  )
  if (desk.looksOnly) return rows
  return form(
    desk,
    'dead/plan',
    filterNames.map((name) => hidden(name, filter[name])),
    html`<div class="wide">${rows}</div>`,
    html`<fieldset><legend>Plan for</legend><label class="check"><input type="radio" name="set" value="some" checked> those selected</label>
<label class="check"><input type="radio" name="set" value="all"> all that ${isEmpty(filter) ? 'there are' : 'fit the filter'}, older pages too</label></fieldset>`,
    actionButtons(),
    html`<p class="wide none">Nothing is done yet: the plan says first what would be.</p>`,
  )
}

export function actionButtons(): Part {
  return [
    html`<label class="check"><input type="checkbox" name="asNew" value="1"> as new: replaces what Target has</label>`,
    button('Send again', { name: 'action', value: 'replay' }),
    button('Map again', { name: 'action', value: 'remap' }),
    button('Remove', { name: 'action', value: 'drop', grave: true }),
  ]
}

/** Names the set and shows its plan; nothing is done. */
export async function makePlan(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const action = fieldOf(c, 'action')
  const keys = allOf(c, 'key')
  const filter = filterFrom((name) => fieldOf(c, name))
  const set =
    fieldOf(c, 'set') === 'all'
      ? { filter: Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== '')) }
      : { keys }
  const asNew = fieldOf(c, 'asNew') === '1' && action !== 'drop' ? true : undefined
  const told = await desk.ask<Plan>('/dead/plan', { action, ...set, ...given({ asNew }) })
  if (!told.ok) return refused(c, 'dead', told)
  const shown = action === 'remap' ? await someKeys(desk, 'keys' in set ? keys : undefined, filter) : []
  const query = new URLSearchParams(shown.map((key) => ['look', key]))
  return c.redirect(`${desk.root}dead/plans/${told.body.plan}${shown.length === 0 ? '' : `?${query}`}`, 303)
}

async function someKeys(desk: Desk, keys: readonly string[] | undefined, filter: Filter): Promise<readonly string[]> {
  if (keys !== undefined) return keys.slice(0, examples)
  const told = await desk.ask<Letters>(`/dead${queryOf({ ...filter, limit: String(examples) })}`)
  return told.ok ? told.body.letters.map(({ key }) => key) : []
}

/** From a visitor's id, which has no place in an address, to its letters by the hash that stands in for it. */
export async function deadOfVisitor(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const told = await desk.ask<Letters>('/dead/list', { visitor: visitorIn(c), limit: 1 })
  if (!told.ok) return refused(c, 'dead', told)
  const visitor = told.body.letters.find((letter) => letter.visitor !== undefined)?.visitor
  if (visitor === undefined)
    return c.html(page(desk, { at: 'dead', title: 'Dead letters' }, section('Of one visitor', nothing('It has none.'))))
  return c.redirect(`${desk.root}dead${queryOf({ visitor })}`, 303)
}
