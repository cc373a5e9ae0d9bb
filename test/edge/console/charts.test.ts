/** Charts and the sentence above them: pure functions of figures. */
import { describe, expect, it } from 'vitest'
import { backlogChart } from '../../../src/edge/console/charts/backlog-chart.ts'
import { outcomeBars, outcomesOf } from '../../../src/edge/console/charts/outcome-bars.ts'
import { quotaChart } from '../../../src/edge/console/charts/quota-chart.ts'
import { bandOf, hourMs, lineOf, niceMost, type Panel, short } from '../../../src/edge/console/charts/scale.ts'
import { barsOf, busiest, pastOf, type Series, trendOf } from '../../../src/edge/console/figures.ts'
import { headline, type Status } from '../../../src/edge/console/headline.ts'

const nowMs = Date.parse('2026-11-26T14:20:00Z')
const panel: Panel = { left: 0, right: 100, top: 0, bottom: 50, fromMs: 0, toMs: 100, most: 10 }
const slot = (at: string, more: Partial<Series['slots'][number]> = {}) => ({ at, counts: {}, byLane: {}, ...more })
const text = async (markup: unknown) => String(await markup)

describe('scales', () => {
  it.each([
    [0, 1],
    [1, 1],
    [3, 4],
    [10, 10],
    [11, 20],
    [399, 400],
    [950, 1_000],
    [1_000_001, 2_000_000],
  ])('the least round top over %i is %i', (value, most) => expect(niceMost(value)).toBe(most))

  it.each([
    [0, '0'],
    [0.5, '0.5'],
    [950, '950'],
    [2_500, '2,500'],
    [12_500, '12.5k'],
    [1_000_000, '1M'],
  ])('%d is written %s', (value, words) => expect(short(value)).toBe(words))

  it('a line goes through its points, and stays within its panel', () => {
    expect(
      lineOf(panel, [
        [0, 0],
        [50, 5],
        [100, 20],
      ]),
    ).toBe('M0 50L50 25L100 0')
  })

  it('a band lies between two lines, and is closed', () => {
    expect(
      bandOf(panel, [
        { atMs: 0, from: 0, to: 10 },
        { atMs: 100, from: 5, to: 10 },
      ]),
    ).toBe('M0 0L100 0L100 25L0 50Z')
    expect(bandOf(panel, [])).toBe('')
  })
})

describe('the quota', () => {
  const picture = { nowMs, used: 600, limit: 1_000, liveCeiling: 950, past: [{ atMs: nowMs, byLane: { live: 600 } }] }

  it('draws limit, reserve, forecast and what frees itself, and says it in words', async () => {
    const svg = await text(
      quotaChart({
        ...picture,
        ahead: [
          { atMs: nowMs, counted: 600, used: 600 },
          { atMs: nowMs + hourMs, counted: 500, used: 700 },
        ],
      }),
    )
    for (const kind of ['limit', 'live-ceiling', 'reserve', 'foretold', 'frees', 'lane live'])
      expect(svg).toContain(`class="${kind}"`)
    expect(svg).toContain('600 of 1,000 calls of the last 24 hours are used')
  })

  it('foretells nothing while calls are held back', async () => {
    expect(await text(quotaChart({ ...picture, ahead: [{ atMs: nowMs, counted: 600 }] }))).not.toContain('foretold')
  })

  it('names a limit that is far above in place of drawing it', async () => {
    const svg = await text(quotaChart({ ...picture, limit: 1_000_000, ahead: [] }))
    expect(svg).toContain('limit 1,000,000, far above')
    expect(svg).not.toContain('class="limit"')
  })

  it('sums calls over the 24 h that end at each hour; now is what the relay says', () => {
    const series = [
      slot('2026-11-25T10:00:00.000Z', { byLane: { live: { calls: 5 } } }),
      slot('2026-11-25T20:00:00.000Z', { byLane: { live: { calls: 7 }, replay: { calls: 2 } } }),
    ]
    const past = pastOf(series, { live: 8 }, nowMs)
    expect(past[0]?.atMs).toBe(nowMs - 24 * hourMs)
    expect(past.at(-1)).toEqual({ atMs: nowMs, byLane: { live: 8 } })
    const at = (iso: string) => past.find(({ atMs }) => atMs === Date.parse(iso))?.byLane
    expect(at('2026-11-25T21:00:00Z')).toEqual({ live: 12, replay: 2 })
    expect(at('2026-11-26T10:00:00Z')).toEqual({ live: 12, replay: 2 })
    expect(at('2026-11-26T11:00:00Z')).toEqual({ live: 7, replay: 2 })
  })
})

describe('what waits', () => {
  it('is shown by hour, an hour without a figure as none, and now as it is', async () => {
    const oldestAt = '2026-11-26T09:00:00.000Z'
    const points = trendOf(
      [slot('2026-11-26T10:00:00.000Z', { waiting: 40, oldestAt })],
      { waiting: 3, oldestAt, bySource: {}, byReason: {}, complete: true },
      nowMs,
    )
    expect(points).toHaveLength(74)
    expect(points.filter(({ waiting }) => waiting > 0)).toEqual([
      { atMs: Date.parse('2026-11-26T10:00:00Z'), waiting: 40, ageMs: 1.5 * hourMs },
      { atMs: nowMs, waiting: 3, ageMs: nowMs - Date.parse(oldestAt) },
    ])
    expect(await text(backlogChart(points))).toContain('3 updates wait now; the most in the time shown was 40 updates.')
  })
})

describe('outcomes', () => {
  it('fold the reasons behind a name', () => {
    expect(
      outcomesOf({
        submitted: 2,
        deferred_quota: 3,
        deferred_slow: 1,
        unauthenticated_stale: 4,
        set_aside: 1,
        rejected: 1,
        calls: 9,
      }),
    ).toEqual({ sent: 2, waited: 4, known: 0, refused: 2, stranger: 4 })
  })

  it('are barred by time, and what is there is seen, however little', async () => {
    const series = [slot('2026-11-26T13:00:00.000Z', { counts: { api: { submitted: 1_000 }, shop: { rejected: 1 } } })]
    const bars = barsOf(series, 'shop', nowMs)
    expect(bars).toHaveLength(12)
    expect(bars.at(-1)).toEqual([Date.parse('2026-11-26T12:00:00Z'), outcomesOf({ rejected: 1 })])
    expect(busiest(series)).toEqual(['api', 'shop'])
    expect(await text(outcomeBars('x', [{ ...outcomesOf({ submitted: 1_000 }), refused: 1 }]))).toMatch(
      /outcome refused" d="M1 \S+h\S+v-1h/,
    )
  })
})

describe('the headline', () => {
  const well: Status = {
    quota: { used: 5, limit: 100, ceilings: { live: 95 } },
    paused: false,
    checks: {},
    backlog: { waiting: 0, bySource: {}, byReason: {}, complete: true },
  }
  const waiting = { waiting: 312, bySource: {}, byReason: { quota: 312 }, complete: true }
  const since = '2026-11-26T14:02:00.000Z'

  it.each<[string, Status | undefined, Record<string, string>, string, string]>([
    ['all is well', well, { store: 'ok' }, 'ok', 'All is well: updates go as they come, and nothing waits.'],
    [
      'a store that fails',
      well,
      { store: 'fail' },
      'fail',
      'Updates cannot be kept: the store does not answer. Senders are told to come back.',
    ],
    [
      'a silent ledger',
      undefined,
      {},
      'fail',
      'The ledger does not answer: nothing is sent. What comes in is kept and waits. Nothing is lost.',
    ],
    [
      'a pause',
      { ...well, paused: true, backlog: waiting },
      {},
      'warn',
      'Paused: nothing is sent until somebody resumes; 312 updates wait. Nothing is lost.',
    ],
    [
      'a wrong token',
      { ...well, backlog: waiting, breaker: { cause: 'misconfigured', since } },
      {},
      'fail',
      'Target refuses our address or token since 14:02; 312 updates wait. Nothing is lost.',
    ],
    [
      'Target fails',
      { ...well, breaker: { cause: 'unavailable', since } },
      {},
      'warn',
      'Target fails since 14:02; nothing waits. Nothing is lost.',
    ],
    ['a token that ended', well, { token: 'fail' }, 'fail', 'TARGET_TOKEN has ended; nothing waits. Nothing is lost.'],
    [
      'a clock that jumped',
      { ...well, clock: { jumpedByMs: -7_200_000 } },
      {},
      'fail',
      'The ledger’s clock jumped by 2 h: nothing is sent until it is set right, or confirmed under Steering; nothing waits. Nothing is lost.',
    ],
    [
      'a quota that is used up',
      {
        ...well,
        quota: { used: 100, limit: 100, nextFreeAt: '2026-11-26T15:00:00.000Z' },
        backlog: { ...waiting, doneBy: '2026-11-26T16:00:00.000Z' },
      },
      {},
      'warn',
      'The quota is used up; 312 updates wait, and are through by 16:00. The next call is free at 15:00. Nothing is lost.',
    ],
    ['what waits', { ...well, backlog: waiting }, {}, 'ok', '312 updates wait (quota 312).'],
    [
      'a quota that will be used up',
      { ...well, quota: { ...well.quota, firstDeferralAt: '2026-11-26T18:00:00.000Z' } },
      {},
      'warn',
      'Updates go as they come. At the pace of the last hour the quota is used up at 18:00.',
    ],
    [
      'a check that is not well',
      well,
      { cron: 'warn', store: 'ok' },
      'warn',
      'Updates go as they come. Look at: cron.',
    ],
  ])('says of %s', (_, status, checks, tone, words) => {
    expect(headline(status, checks, nowMs)).toEqual({ tone, text: words })
  })
})
