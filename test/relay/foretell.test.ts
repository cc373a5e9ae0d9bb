/** The pace that a forecast goes by. */
import { expect, it } from 'vitest'
import { paceOf } from '../../src/relay/foretell.ts'

const nowMs = 1_790_000_000_000
const minuteMs = 60_000

it.each([
  // 100 units were granted in the last hour, of which a run made 20 calls; two updates found no unit.
  ['post', 100 - 20 + 2],
  ['get', 100 - 40 + 2],
  ['auto', 100 - 20 + 2],
] as const)('by %s is what live traffic asked for in the last hour, in units', (targetMethod, pace) => {
  const buckets = [
    [nowMs - 90 * minuteMs, 500],
    [nowMs - 30 * minuteMs, 100],
  ] as const
  const slots = [{ startMs: nowMs - 20 * minuteMs, lines: { 'api/live': { deferred_quota: 2 } } }]
  const runs = [
    { atMs: nowMs - 5 * minuteMs, stopped: 'done', calls: 20 },
    { atMs: nowMs - 70 * minuteMs, stopped: 'done', calls: 300 },
  ] as const
  expect(paceOf({ targetMethod }, { buckets }, slots, runs as never, nowMs)).toBe(pace)
})
