/** The page that `status` prints: figures, times and sentences, for a relay in each state. */
import { describe, expect, it } from 'vitest'
import { backlogLines, quotaLines, type Status, statusLines } from '../../src/cli/status-page.ts'
import { breakdown, clockTime, counted, span, table, zoneOf } from '../../src/core/words.ts'

const clock = { nowMs: Date.parse('2026-11-27T14:12:00Z'), zone: 'UTC' }
const checks = { store: 'ok', ledger: 'ok', target: 'ok' }
const quiet: Status = { quota: { used: 0, limit: 999_000 }, paused: false, checks }
const busy: Status = {
  ...quiet,
  quota: {
    used: 612_400,
    limit: 999_000,
    byLane: { live: 580_000, high: 12_000, replay: 20_400, bulk: 0 },
    nextFreeAt: '2026-11-27T14:13:00Z',
    firstDeferralAt: '2026-11-27T17:40:10Z',
  },
  backlog: {
    waiting: 12_400,
    visitors: 2_900,
    calls: 3_100,
    oldestAt: '2026-11-27T13:02:00Z',
    bySource: { loan: 12_000, api: 400 },
    byReason: { quota: 11_900, contended: 500 },
    countedAt: '2026-11-27T14:11:30Z',
    complete: true,
    doneBy: '2026-11-27T19:05:00Z',
  },
  dead: { count: 512, byReason: { rejected: 200, unmappable: 312 }, bySource: { loan: 512 } },
  today: {
    loan: { received: 20_000, submitted: 8_000, deferred_quota: 11_500, deferred_contended: 500, rejected: 200 },
    api: { received: 5, submitted: 5 },
  },
  runs: [
    { at: '2026-11-27T14:10:48Z', stopped: 'drained' },
    { at: '2026-11-27T14:11:48Z', stopped: 'quota' },
  ],
}

describe('the status page', () => {
  it('says in one sentence when the quota is used up, and when what waits is through', () => {
    expect([...quotaLines(busy, clock)]).toEqual([
      '612,400 of 999,000 calls used (61.3 %)',
      'calls of the last 24 h: live 580,000 · replay 20,400 · high 12,000',
      'at the pace of the last hour the quota is used up at 17:40; what waits (12,400 entries, 3,100 calls) is through by 19:05',
    ])
  })

  it('says how much of its part the span has used, where calls are paced', () => {
    const span = { used: 41_000, allowed: { high: 40_584, live: 39_543, replay: 41_625, bulk: 33_300 } }
    expect([...quotaLines({ quota: { ...quiet.quota, span } }, clock)]).toContain(
      'paced: 41,000 of 41,625 in the 24th of the window that ends now',
    )
  })

  it('says that it is used up, and when the next call is free', () => {
    const used = { ...busy, quota: { used: 10, limit: 10, nextFreeAt: '2026-11-28T09:05:00Z' } }
    expect([...quotaLines({ quota: used.quota }, clock)][1]).toBe(
      'it is used up; the next call is free at 2026-11-28 09:05',
    )
  })

  it('of a busy relay', () => {
    expect([...statusLines('https://relay.example', 'ready', busy, clock)].join('\n')).toBe(
      `
https://relay.example: ready; times are UTC
quota     612,400 of 999,000 calls used (61.3 %)
          calls of the last 24 h: live 580,000 · replay 20,400 · high 12,000
          at the pace of the last hour the quota is used up at 17:40; what waits (12,400 entries, 3,100 calls) is through by 19:05
waiting   12,400 entries of 2,900 visitors, 3,100 calls once merged; the oldest since 13:02 (1 h 10 min)
          because of: quota 11,900 · contended 500
          from: loan 12,000 · api 400
dead      512 letters: unmappable 312 · rejected 200
          from: loan 512
flush     the last run was at 14:11, 12 s ago; it ended early: quota
today     source  received  submitted  deferred  rejected
          api            5          5         0         0
          loan      20,000      8,000    12,000       200
checks    all well: store, ledger, target`.trimStart(),
    )
  })

  it('says how many runs took part in the last one, why it ended, and what the platform was found to allow', () => {
    const last = { at: '2026-11-27T14:11:48Z', stopped: 'part_left', runsTogether: 3 }
    const flushLines = (run: object) =>
      [...statusLines('https://relay.example', 'ready', { ...quiet, runs: [{ ...last, ...run }] }, clock)]
        .join('\n')
        .match(/flush .*?(?=\ntoday)/s)?.[0]
    expect(flushLines({})).toBe(
      'flush     the last run was at 14:11, 12 s ago; 3 runs shared the backlog; it ended early: a part is left for the next run',
    )
    expect(flushLines({ stopped: 'operations', platformOperations: 1_000, platformCalls: 50 })).toBe(
      [
        'flush     the last run was at 14:11, 12 s ago; 3 runs shared the backlog; it ended early: operations',
        '          the platform refused a run more than 1,000 operations on the store and 50 calls: runs of a day end before',
      ].join('\n'),
    )
    // Since then a run may have found that there is more.
    expect(flushLines({ at: '2026-11-26T14:11:48Z', platformCalls: 50 })).not.toContain('platform')
  })

  it('of a relay that needs somebody', () => {
    const troubled: Status = {
      ...quiet,
      paused: true,
      breaker: { cause: 'misconfigured', since: '2026-11-26T23:59:00Z' },
      checks: { ...checks, target: 'fail', encryption: 'warn', novelty: 'warn' },
    }
    expect([...statusLines('https://relay.example', 'not ready', troubled, clock)].join('\n')).toBe(
      `
https://relay.example: not ready; times are UTC
quota     0 of 999,000 calls used (0.0 %)
paused    nothing is sent until target-relay resume
breaker   open since 2026-11-26 23:59: Target says that our address or token is wrong (misconfigured): TARGET_ORIGIN, TARGET_TOKEN
flush     no run yet
today     nothing came in the last 24 h
checks    FAIL target: it takes no call: the address or TARGET_TOKEN is wrong, or it refuses everybody
          WARN encryption: BACKLOG_KEYS is not set: what waits is not encrypted
          WARN novelty: see target-relay status --json
          well: store, ledger`.trimStart(),
    )
  })

  it('says the age of a count that is old, and that it is not whole', () => {
    const old = { ...busy.backlog, countedAt: '2026-11-27T13:50:00Z', complete: false, oldestAt: undefined }
    expect([...backlogLines(old as never, clock)][0]).toBe(
      '12,400 entries of 2,900 visitors, 3,100 calls once merged (counted 22 min ago; not all is counted yet)',
    )
    expect([...backlogLines({ ...old, waiting: 0 } as never, clock)]).toEqual([
      'nothing (counted 22 min ago; not all is counted yet)',
    ])
  })
})

describe('words', () => {
  it.each([
    [0, '0 s'],
    [-5, '0 s'],
    [59_499, '59 s'],
    [60_000, '1 min'],
    [3_599_999, '59 min'],
    [3_600_000, '1 h'],
    [4_200_000, '1 h 10 min'],
    [86_400_000, '1 d'],
    [273_600_000, '3 d 4 h'],
  ])('%i ms are %s', (ms, text) => expect(span(ms)).toBe(text))

  it('times are of the zone that the page names', () => {
    const zurich = { nowMs: Date.parse('2026-11-27T23:30:00Z'), zone: 'Europe/Zurich' }
    expect(zoneOf(zurich)).toBe('UTC+01:00')
    expect(clockTime('2026-11-27T23:10:00Z', zurich)).toBe('00:10')
    expect(clockTime('2026-11-27T22:59:00Z', zurich)).toBe('2026-11-27 23:59')
  })

  it('counts one as one', () => {
    expect([counted(1, 'entry', 'entries'), counted(0, 'entry', 'entries'), counted(1_000, 'call')]).toEqual([
      '1 entry',
      '0 entries',
      '1,000 calls',
    ])
  })

  it('a breakdown has the largest first, and leaves out what is none', () => {
    expect(breakdown({ b: 1, a: 1, c: 2, d: 0 })).toBe('c 2 · a 1 · b 1')
  })

  it('a table sets figures to the right', () => {
    expect([
      ...table(
        ['a', 'n'],
        [
          ['x', '1'],
          ['yy', '1,000'],
        ],
      ),
    ]).toEqual(['a       n', 'x       1', 'yy  1,000'])
  })
})
