/** The first page: how it stands, in words, in figures and as pictures. */
import type { Context } from 'hono'
import { html } from 'hono/html'
import { checkInWords } from '../../core/operator/health-words.ts'
import { breakdown, counted, figure, span } from '../../core/words.ts'
import type { PartsOf } from '../routes/parts.ts'
import { backlogChart } from './charts/backlog-chart.ts'
import { outcomeBars, outcomes, outcomesOf } from './charts/outcome-bars.ts'
import { chartLanes, type QuotaPicture, quotaChart, sumOf } from './charts/quota-chart.ts'
import { legend } from './charts/scale.ts'
import { type Desk, deskOf } from './desk.ts'
import { barHours, barsOf, busiest, hourly, pastOf, type Series, sumOfSource, trendOf } from './figures.ts'
import { headline, type Status } from './headline.ts'
import { ago, chart, facts, type Markup, nothing, notice, type Part, page, section, table, time } from './page.ts'

/** Sources that have bars of their own here; all have on their page. */
const sourcesShown = 8

export async function overview(c: Context, { ready }: ReturnType<PartsOf<'ready'>>): Promise<Response> {
  const desk = deskOf(c)
  const [status, series, { checks }] = await Promise.all([
    desk.ask<Status>('/status'),
    hourly(desk),
    // It never rejects, and says what is wrong where the ledger does not answer.
    ready(),
  ])
  const known = status.ok ? status.body : undefined
  const { tone, text } = headline(known, checks, desk.nowMs)
  return c.html(
    page(
      desk,
      { at: '', title: 'Overview', again: true },
      notice(tone, html`<strong>${text}</strong>`),
      known && tiles(desk, known, series),
      known && quotaFigure(desk, known, series),
      known && backlogFigure(desk, known, series),
      series.length > 0 && sourcesSection(desk, series),
      known && runsSection(desk, known),
      checksSection(checks),
    ),
  )
}

function tiles({ nowMs }: Desk, status: Status, series: Series['slots']): Markup {
  const { quota, backlog, dead, today = {} } = status
  const { used, limit } = quota
  const saved = Object.values(today).reduce((all, { calls_saved = 0 }) => all + calls_saved, 0)
  const savedEver = series.reduce((all, { counts }) => all + sumNamed(counts, 'calls_saved'), 0)
  return facts(
    [
      'Quota used',
      html`<b>${((100 * used) / limit).toFixed(1)} %</b><span>${figure(used)} of ${figure(limit)} calls${
        quota.nextFreeAt !== undefined && html`; the next is free ${time(quota.nextFreeAt, nowMs)}`
      }</span>`,
    ],
    [
      'Waiting',
      html`<b>${figure(backlog?.waiting ?? 0)}</b><span>${
        backlog === undefined || backlog.waiting === 0
          ? 'nothing waits'
          : html`${backlog.calls !== undefined && `${counted(backlog.calls, 'call')} once merged`}${
              backlog.oldestAt !== undefined && `, the oldest for ${ago(backlog.oldestAt, nowMs)}`
            }${!backlog.complete && ', not all counted yet'}`
      }</span>`,
    ],
    [
      'Through by',
      backlog?.doneBy === undefined || backlog.waiting === 0
        ? html`<b>–</b><span>${backlog?.waiting === 0 ? 'nothing to get through' : 'not foretold'}</span>`
        : html`<b>${time(backlog.doneBy, nowMs)}</b><span>by the forecast</span>`,
    ],
    [
      'Dead letters',
      html`<b>${figure(dead?.count ?? 0)}</b><span>${breakdown(dead?.byReason ?? {}).replaceAll('_', ' ') || 'none'}</span>`,
    ],
    ['Calls saved', html`<b>${figure(saved)}</b><span>by merging in 24 h; ${figure(savedEver)} in 72 h</span>`],
    [
      'Last flush',
      status.lastRunAt === undefined
        ? html`<b>–</b><span>no run yet</span>`
        : html`<b>${time(status.lastRunAt, nowMs)}</b><span>${ago(status.lastRunAt, nowMs)} ago</span>`,
    ],
  )
}

function sumNamed(counts: Readonly<Record<string, Readonly<Record<string, number>>>>, name: string): number {
  return Object.values(counts).reduce((all, some) => all + (some[name] ?? 0), 0)
}

function quotaFigure({ nowMs }: Desk, { quota }: Status, series: Series['slots']): Markup {
  const { used, limit, ahead = [], ceilings = {} } = quota
  const past = pastOf(series, quota.byLane ?? {}, nowMs)
  const foreseen = ahead.map(({ at, ...one }) => ({ atMs: Date.parse(at), ...one }))
  const picture: QuotaPicture = { nowMs, used, limit, liveCeiling: ceilings['live'] ?? limit, past, ahead: foreseen }
  const lanes = chartLanes.filter((lane) => past.some(({ byLane }) => (byLane[lane] ?? 0) > 0))
  return chart(
    'Calls within 24 hours',
    quotaChart(picture),
    legend([
      ...lanes.map((lane) => [`lane ${lane}`, `calls of lane ${lane}`] as const),
      ['frees', 'of now’s calls, still counted'],
      ['foretold key', 'forecast'],
      ['reserve', `reserve for what waits, from ${figure(picture.liveCeiling)}`],
    ]),
    table(
      'Calls within the 24 hours that end then, by lane',
      ['until', ...chartLanes, 'all'],
      past.map(({ atMs, byLane }) => [
        time(new Date(atMs).toISOString(), nowMs),
        ...chartLanes.map((lane) => byLane[lane] ?? 0),
        sumOf(byLane),
      ]),
    ),
    table(
      `Ahead: of now’s ${figure(used)} units those still counted, and the forecast`,
      ['at', 'still counted', 'used', 'waiting'],
      ahead.map(({ at, counted, used, waiting }) => [time(at, nowMs), counted, used ?? '–', waiting ?? '–']),
    ),
  )
}

function backlogFigure({ nowMs }: Desk, { backlog }: Status, series: Series['slots']): Markup {
  const points = trendOf(series, backlog, nowMs)
  return chart(
    'What waited, and for how long',
    backlogChart(points),
    legend([
      ['waits', 'updates that waited when a flush ended'],
      ['age key', 'age of the oldest, hours'],
    ]),
    table(
      'By hour, where anything waited',
      ['hour', 'waiting', 'oldest'],
      points
        .filter(({ waiting }) => waiting > 0)
        .map(({ atMs, waiting, ageMs }) => [time(new Date(atMs).toISOString(), nowMs), waiting, span(ageMs)]),
    ),
  )
}

function sourcesSection(desk: Desk, series: Series['slots']): Markup {
  const names = busiest(series)
  const shown = names.slice(0, sourcesShown)
  return html`<section><h2>Outcomes by source, 72 hours</h2>${legend(outcomes.map(([kind, text]) => [`outcome ${kind}`, text]))}
<div class="cards">${shown.map((name) => {
    const bars = barsOf(series, name, desk.nowMs)
    const all = outcomesOf(sumOfSource(series, name))
    const words = outcomes.flatMap(([kind, text]) => (all[kind] > 0 ? [`${text} ${figure(all[kind])}`] : [])).join(', ')
    return html`<figure class="card"><figcaption><h3>${sourceLink(desk, name)}</h3></figcaption>${outcomeBars(
      `${name}: ${words}`,
      bars.map(([, bar]) => bar),
    )}<p>${words}</p></figure>`
  })}</div>
${names.length > shown.length && html`<p><a href="${desk.root}sources">All ${names.length} sources</a></p>`}
<details><summary>As a table</summary>${table(
    `In each ${barHours} hours`,
    ['source', 'from', ...outcomes.map(([, text]) => text)],
    shown.flatMap((name) =>
      barsOf(series, name, desk.nowMs)
        .filter(([, bar]) => outcomes.some(([kind]) => bar[kind] > 0))
        .map(([atMs, bar]) => [
          name,
          time(new Date(atMs).toISOString(), desk.nowMs),
          ...outcomes.map(([kind]) => bar[kind]),
        ]),
    ),
  )}</details></section>`
}

/** Only a configured source has a page. */
export function sourceLink({ root }: Desk, name: string): Part {
  return /^[a-z0-9-]+$/.test(name) && name !== 'api' && name !== 'admin'
    ? html`<a href="${root}sources/${name}">${name}</a>`
    : name
}

function runsSection({ nowMs }: Desk, { runs = [] }: Status): Markup {
  if (runs.length === 0) return section('Last flushes', nothing('No run had anything to do yet.'))
  const names = ['read', 'replayed', 'calls', 'callsSaved', 'superseded', 'deferredAgain', 'dead'] as const
  return section(
    'Last flushes',
    table(
      'Those that found something, the newest first',
      ['at', 'read', 'delivered', 'calls', 'saved', 'superseded', 'wait on', 'dead', 'took', 'ended'],
      runs.map((run) => [
        time(run.at, nowMs),
        ...names.map((name) => numberOf(run[name])),
        `${(numberOf(run['durationMs']) / 1_000).toFixed(1)} s`,
        endings[run.stopped] ?? run.stopped.replaceAll('_', ' '),
      ]),
    ),
  )
}

const endings: Readonly<Record<string, string>> = {
  drained: 'all done',
  quota: 'quota used up',
  time: 'out of time',
  part_left: 'a part is left',
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

function checksSection(checks: Readonly<Record<string, string>>): Markup {
  return html`<section><h2>Checks</h2><ul class="checks">${Object.entries(checks).map(
    ([name, verdict]) =>
      html`<li class="${verdict}"><b>${name}</b> ${verdict === 'ok' ? 'well' : html`<em>${verdict}</em> ${checkInWords(name, verdict)}`}</li>`,
  )}</ul></section>`
}
