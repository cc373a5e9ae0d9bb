/** A plan says what the relay does: the relay itself, on the same small traffic, comes to the same numbers. */
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { createHasher } from '../../src/core/update/hash.ts'
import { createEngine, type Way } from '../../src/plan/engine.ts'
import { seededRandom } from '../support/clock.ts'
import { createWorld, worldSettings } from '../support/world.ts'

const [minuteMs, hourMs] = [60_000, 3_600_000]
/** The first full hour of the fake clock. */
const startMs = Math.ceil(1_790_000_000_000 / hourMs) * hourMs

interface Traffic {
  readonly seed: number
  readonly visitors: number
  readonly names: number
  readonly namesEach: number
  readonly updates: number
  readonly quotaLimit: number
  readonly replayReserve: number
  readonly pace: 'none' | 'even'
  readonly maxCalls: number
  readonly maxOperations: number
  readonly retentionHours: number
}

interface Sent {
  readonly atMs: number
  readonly visitor: number
  readonly names: readonly number[]
}

/** Bursts and quiet times over four hours. */
function drawn({ seed, visitors, names, namesEach, updates }: Traffic): readonly Sent[] {
  const random = seededRandom(seed)
  const times = new Set<number>()
  while (times.size < updates) {
    const burst = random.fraction() < 0.7
    const atMs = burst
      ? hourMs * (1 + Math.floor(random.fraction() * 2)) + random.fraction() * 600_000
      : random.fraction() * 4 * hourMs
    // Not in the very moment of a run.
    if (Math.floor(atMs) % minuteMs !== 0) times.add(startMs + Math.floor(atMs))
  }
  return [...times]
    .sort((a, b) => a - b)
    .map((atMs) => {
      const order = Array.from({ length: names }, (_, name) => [random.fraction(), name] as const).sort()
      return {
        atMs,
        visitor: Math.floor(visitors * random.fraction() ** 3),
        names: order.slice(0, namesEach).map(([, name]) => name),
      }
    })
}

const windowMs = 2 * hourMs

async function ofRelay(traffic: Traffic, sent: readonly Sent[], idOf: readonly string[]) {
  const { quotaLimit, replayReserve, pace, maxCalls, maxOperations, retentionHours } = traffic
  const world = await createWorld({
    settings: { quotaLimit, replayReserve, pace, quotaWindowMs: windowMs, retentionMs: retentionHours * hourMs },
  })
  await world.clock.advance(startMs - world.clock.now())
  const newest = new Map<string, Map<string, string>>()
  const behind = new Map<string, number>()
  const delays: number[] = []
  const isBehind = (id: string) => {
    const profile = world.profile(id)
    return [...(newest.get(id) ?? [])].some(([name, value]) => profile[name] !== value)
  }
  const look = (id: string, nowMs: number) => {
    const since = behind.get(id)
    if (isBehind(id)) {
      if (since === undefined) behind.set(id, nowMs)
    } else if (since !== undefined) {
      delays.push(nowMs - since)
      behind.delete(id)
    }
  }
  let [live, deferred, dead] = [0, 0, 0]
  let replayCalls = 0
  const flush = async () => {
    const report = await world.flush({ maxCalls, maxOperations })
    replayCalls += report.calls
    dead += report.dead
    for (const id of [...behind.keys()]) look(id, world.clock.now())
  }
  let nextRunMs = startMs + minuteMs
  const runUntil = async (ms: number) => {
    for (; nextRunMs <= ms; nextRunMs += minuteMs) {
      await world.clock.advance(nextRunMs - world.clock.now())
      await flush()
    }
  }
  for (const { atMs, visitor, names } of sent) {
    await runUntil(atMs)
    await world.clock.advance(atMs - world.clock.now())
    const id = idOf[visitor] ?? ''
    const values = names.map((name) => [`a${name}`, `v${atMs}`] as const)
    newest.set(id, new Map([...(newest.get(id) ?? []), ...values]))
    const update = await world.update({ visitor: { thirdPartyId: id }, attributes: Object.fromEntries(values) })
    const [receipt] = await world.deliver([update])
    await world.settled()
    if (receipt?.status === 'submitted') live++
    else deferred++
    look(id, atMs)
  }
  for (let more = 0; (await world.entries()) > 0 && more < retentionHours * 60; more++) await runUntil(nextRunMs)
  return {
    ...{ live, deferred, replayCalls, dead, calls: world.target.calls.length },
    entriesWaiting: await world.entries(),
    caughtUp: delays.length,
    longestMs: Math.max(0, ...delays),
  }
}

function ofPlan(traffic: Traffic, sent: readonly Sent[], place: readonly number[]) {
  const { names, quotaLimit, replayReserve, pace, maxCalls, maxOperations, retentionHours } = traffic
  const way: Way = {
    ...{ name: 'as set', retentionMs: retentionHours * hourMs, callMs: 0, skipUnchanged: false },
    run: { maxMs: 45_000, maxCalls, maxOperations, msPerCall: 0, msPerEntry: 0, entriesTogether: 10_000 },
    quota: {
      ...{ quotaLimit, replayReserve, pace, quotaWindowMs: windowMs },
      ...{ quotaBucketMs: worldSettings.quotaBucketMs, quotaSlackMs: worldSettings.quotaSlackMs },
    },
  }
  const engine = createEngine([way], {
    ...{ startMs, compareMs: 365 * 24 * hourMs },
    openSql: () => nodeSqlite(new DatabaseSync(':memory:')),
  })
  for (const { atMs, visitor, names: chosen } of sent) {
    const at = place[visitor] ?? 0
    const registers = Int32Array.from(chosen, (name) => at * names + name)
    engine.take(atMs, at, registers, new Int32Array(registers.length), registers.length)
  }
  const { ran } = engine.end(way.retentionMs)
  const { totals, delays } = ran.model
  return {
    ...{ live: ran.liveCalls, deferred: totals.deferred, replayCalls: ran.replayCalls, dead: totals.expired },
    calls: ran.liveCalls + ran.replayCalls,
    entriesWaiting: ran.model.entriesWaiting,
    caughtUp: delays.count,
    longestMs: delays.longestMs,
  }
}

const drawnTraffic = (
  names: fc.Arbitrary<Pick<Traffic, 'names' | 'namesEach'>>,
  retentionHours: readonly number[],
  maxCalls: readonly number[],
) =>
  fc.record({
    seed: fc.integer({ min: 1, max: 2 ** 31 }),
    visitors: fc.integer({ min: 1, max: 60 }),
    named: names,
    updates: fc.integer({ min: 50, max: 250 }),
    quotaLimit: fc.integer({ min: 4, max: 120 }),
    replayReserve: fc.constantFrom(0, 0.05, 0.3, 0.5),
    pace: fc.constantFrom('none' as const, 'even' as const),
    maxCalls: fc.constantFrom(...maxCalls),
    maxOperations: fc.constant(900),
    retentionHours: fc.constantFrom(...retentionHours),
  })
const aTraffic = { pace: 'none', maxCalls: 9_000, maxOperations: 900, retentionHours: 72 } as const
type Example = ReturnType<typeof drawnTraffic> extends fc.Arbitrary<infer Drawn> ? Drawn : never
/** Deferred values that newer ones overtake while they wait; and fewer units in a run than visitors who wait. */
const newerOnesOvertake: Example = {
  ...{ ...aTraffic, seed: 2_147_483_623, named: { names: 2, namesEach: 2 } },
  ...{ visitors: 13, updates: 229, quotaLimit: 66, replayReserve: 0 },
}
const whoCameLastWaits: Example = {
  ...{ ...aTraffic, seed: 2_147_483_643, named: { names: 1, namesEach: 1 } },
  ...{ visitors: 42, updates: 203, quotaLimit: 43, replayReserve: 0.05 },
}
const numRuns = Number(process.env['PLAN_RUNS'] ?? 8)

async function both(traffic: Traffic) {
  const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
  const sent = drawn(traffic)
  const ids = Array.from({ length: traffic.visitors }, (_, visitor) => `visitor ${visitor}`)
  // A run reads who waits in the order of their hashes.
  const hashes = await Promise.all(ids.map((thirdPartyId) => hasher.visitor({ thirdPartyId })))
  const sorted = hashes.toSorted()
  const place = hashes.map((hash) => sorted.indexOf(hash))
  return { plan: ofPlan(traffic, sent, place), relay: await ofRelay(traffic, sent, ids) }
}

it('a plan counts the calls, deferrals and delays that the relay makes of the same traffic', {
  timeout: 300_000,
}, async () => {
  const together = fc.integer({ min: 1, max: 4 }).map((names) => ({ names, namesEach: names }))
  await fc.assert(
    fc.asyncProperty(drawnTraffic(together, [72], [9_000]), async ({ named, ...traffic }) => {
      const { plan, relay } = await both({ ...traffic, ...named })
      expect(plan).toEqual(relay)
    }),
    { numRuns, endOnFailure: true, examples: [[newerOnesOvertake], [whoCameLastWaits]] },
  )
})

// While there is no quota, the relay lets single entries of a visitor leave that were overtaken or are too old, and a plan
// all of them together: so another visitor may have waited longest. With few calls a chunk has fewer visitors.
it('where updates carry some of the attributes, get too old, or runs make few calls, it comes close', {
  timeout: 300_000,
}, async () => {
  const some = fc
    .integer({ min: 1, max: 4 })
    .chain((names) => fc.integer({ min: 1, max: names }).map((namesEach) => ({ names, namesEach })))
  await fc.assert(
    fc.asyncProperty(drawnTraffic(some, [72, 2], [2, 9_000]), async ({ named, ...traffic }) => {
      const { plan, relay } = await both({ ...traffic, ...named })
      expect(Math.abs(plan.live - relay.live)).toBeLessThanOrEqual(1 + relay.live / 50)
      expect(plan.live + plan.deferred).toBe(relay.live + relay.deferred)
      expect(Math.abs(plan.calls - relay.calls)).toBeLessThanOrEqual(2 + relay.calls / 20)
      expect(Math.abs(plan.dead - relay.dead)).toBeLessThanOrEqual(5 + traffic.updates / 3)
      if (plan.dead > 0 || relay.dead > 0) return
      expect(plan.entriesWaiting).toBe(relay.entriesWaiting)
      expect(Math.abs(plan.longestMs - relay.longestMs)).toBeLessThanOrEqual(20 * minuteMs + relay.longestMs / 10)
    }),
    { numRuns, endOnFailure: true },
  )
})
