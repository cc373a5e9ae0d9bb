/** The pace that a forecast goes by. */
import { expect, it } from 'vitest'
import { callsPerRun, paceOf } from '../../src/relay/foretell.ts'

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

it('counts several runs that share the backlog as one that does as much as all of them', () => {
  const settings = { flushMaxOps: 900, flushMaxCalls: 1_000, flushLearnsOps: true }
  const ran = (stopped: string, calls: number, more: object = {}) => ({ atMs: nowMs, stopped, calls, ...more }) as never
  expect(callsPerRun(settings, 1, [ran('time', 800)])).toBe(800)
  expect(callsPerRun(settings, 1, [ran('time', 3_100, { runsTogether: 4 }), ran('time', 800)])).toBe(3_100)
  // Each at its own FLUSH_MAX_CALLS.
  expect(callsPerRun(settings, 1, [ran('time', 4_800, { runsTogether: 4 })])).toBe(4_000)
  expect(callsPerRun({ ...settings, flushLearnsOps: false }, 1, [ran('time', 1_500, { runsTogether: 2 })])).toBe(1_500)
})
