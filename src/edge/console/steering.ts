/** Steering: what stops and starts the relay and sets right what it can't know; and who did what. */
import type { Context } from 'hono'
import { html } from 'hono/html'
import type * as z from 'zod'
import { causeInWords } from '../../core/operator/health-words.ts'
import { counted, figure, span } from '../../core/words.ts'
import type { audit, erased as erasedSchema } from '../contract/admin.ts'
import { type Desk, deskOf, type Told } from './desk.ts'
import { fieldOf, queryOf, visitorIn } from './fields.ts'
import type { Status } from './headline.ts'
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
  problemParts,
  refused,
  section,
  table,
  time,
} from './page.ts'
import { eraseSection } from './visitor.ts'

const actsShown = 100

/** What is sent to the API, by the name of its form; `done` is said once it was. */
const acts = {
  pause: { path: '/pause', done: 'Paused: nothing is sent, what comes in waits.' },
  resume: { path: '/resume', done: 'Resumed: calls go again, and the next flush begins with what waits.' },
  flush: { path: '/flush', done: 'A flush was run: the overview has its figures.' },
  breaker: { path: '/breaker/close', done: 'Calls go again. Where Target still fails, they are held back again.' },
  clock: { path: '/clock/confirm', done: 'The clock is confirmed.' },
  spent: { path: '/quota/spent', done: 'It is noted what was spent.' },
} as const

export async function steering(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const [told, record] = await Promise.all([desk.ask<Status>('/status'), desk.ask<z.output<typeof audit>>('/audit')])
  const did = Object.entries(acts).find(([name]) => name === c.req.query('did'))?.[1].done
  return c.html(
    page(
      desk,
      { at: 'steering', title: 'Steering' },
      did !== undefined && notice('ok', did),
      !told.ok && notice('fail', problemParts(told)),
      told.ok && stateSection(desk, told.body),
      told.ok && !desk.looksOnly && html`<div class="two">${spentSection(desk, told.body)}${eraseSection(desk)}</div>`,
      auditSection(desk, record, Math.max(0, Number(c.req.query('from') ?? 0) || 0)),
    ),
  )
}

function stateSection(desk: Desk, { paused, breaker, clock, backlog }: Status): Markup {
  const { looksOnly, nowMs } = desk
  const press = (act: keyof typeof acts, text: string, grave?: true) =>
    !looksOnly && form(desk, `steering/${act}`, button(text, grave ? { grave } : {}))
  return section(
    'Calls to Target',
    table(
      '',
      ['what', 'now', ...(looksOnly ? [] : ['do'])],
      [
        [
          'Pause',
          paused ? 'Paused: nothing is sent' : 'Calls go',
          ...act(paused ? press('resume', 'Resume') : press('pause', 'Pause', true)),
        ],
        [
          'Breaker',
          breaker === undefined
            ? 'Closed'
            : html`<span class="long">Open since ${time(breaker.since, nowMs)}: ${causeInWords(breaker.cause)}</span>`,
          ...act(breaker === undefined ? '' : press('breaker', 'Close it')),
        ],
        ['Flush', `${counted(backlog?.waiting ?? 0, 'update')} wait`, ...act(press('flush', 'Flush now'))],
        ...(clock === undefined
          ? []
          : [
              [
                'Clock',
                `Jumped by ${span(Math.abs(clock.jumpedByMs))}: nothing is sent`,
                ...act(press('clock', 'It is right now')),
              ],
            ]),
      ],
    ),
  )

  function act(part: Part): readonly Part[] {
    return looksOnly ? [] : [part]
  }
}

function spentSection(desk: Desk, { quota }: Status): Markup {
  return section(
    'Quota',
    html`<p>${figure(quota.used)} of ${figure(quota.limit)} calls count as made. After the ledger lost its state, say how many really were: Target’s report has the figure.</p>`,
    form(
      desk,
      'steering/spent',
      input('Calls in the last 24 h', 'units', { type: 'number', required: true }),
      button('Note it'),
    ),
  )
}

function auditSection({ root, nowMs }: Desk, told: Told<z.output<typeof audit>>, from: number): Markup {
  if (!told.ok) return section('Who did what', notice('fail', problemParts(told)))
  const shown = told.body.acts.slice(from, from + actsShown)
  return section(
    'Who did what',
    shown.length === 0
      ? nothing('Nobody did anything yet.')
      : table(
          'The newest first; the last 1,000 are kept',
          ['at', 'who', 'role', 'what', 'details'],
          shown.map(({ at, who, role, what, details = {} }) => [
            time(at, nowMs),
            who,
            role,
            what.replaceAll('_', ' '),
            html`<span class="long">${Object.entries(details)
              .map(([name, value]) => `${name} ${value}`)
              .join(', ')}</span>`,
          ]),
        ),
    told.body.acts.length > from + actsShown &&
      html`<p><a href="${root}steering${queryOf({ from: String(from + actsShown) })}">Older ones</a></p>`,
  )
}

export async function steer(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const name = c.req.param('act') ?? ''
  const act = Object.entries(acts).find(([one]) => one === name)?.[1]
  if (act === undefined) return refused(c, 'steering', { ok: false, status: 404, title: 'There is nothing here' })
  const units = fieldOf(c, 'units')
  const told = await desk.ask(act.path, name === 'spent' ? { units: /^\d+$/.test(units) ? Number(units) : units } : {})
  return told.ok ? c.redirect(`${desk.root}steering?did=${name}`, 303) : refused(c, 'steering', told)
}

/** Shows what came of it at once: who it was has no place in an address. */
export async function erase(c: Context): Promise<Response> {
  const desk = deskOf(c)
  const [kind, id, cursor] = [fieldOf(c, 'kind'), fieldOf(c, 'id'), fieldOf(c, 'cursor')]
  if (fieldOf(c, 'sure') !== '1')
    return refused(c, 'steering', {
      ok: false,
      status: 422,
      title: 'Nothing was erased',
      detail: 'Tick the box to say that you are sure.',
    })
  const told = await desk.ask<z.output<typeof erasedSchema>>('/erase', {
    visitor: visitorIn(c),
    ...(cursor === '' ? {} : { cursor }),
  })
  if (!told.ok) return refused(c, 'steering', told)
  const { entries, deadLetters, mentioned, unreadable, complete, cursor: next, todo } = told.body
  return c.html(
    page(
      desk,
      { at: 'steering', title: 'Erase' },
      notice(complete ? 'ok' : 'warn', complete ? 'The visitor is erased.' : 'Not all is erased yet.'),
      section(
        'What was removed',
        table(
          '',
          ['what', 'how many'],
          [
            ['updates that waited', entries],
            ['dead letters', deadLetters],
            ['letters that mention the id, and were left', mentioned],
            ['what cannot be read, and was left', unreadable],
          ],
        ),
        todo !== undefined && html`<p>${todo}</p>`,
        next !== undefined &&
          form(
            desk,
            'steering/erase',
            hidden('kind', kind),
            hidden('id', id),
            hidden('sure', '1'),
            hidden('cursor', next),
            button('Go on', { grave: true }),
          ),
      ),
    ),
  )
}
