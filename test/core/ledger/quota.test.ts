/**
 * The rolling window compared with a plain log of every unit: never over the limit, no needless refusal, exact waiting
 * times (G1), whatever bucket widths and windows are set between restarts and whatever the clock does.
 */
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Admission, Ledger } from '../../../src/core/ledger/port.ts'
import type { LedgerClock } from '../../../src/core/ledger/rules/clock-watch.ts'
import type { LedgerSettings } from '../../../src/core/ledger/rules/settings.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { contractSettings } from '../../contract/ledger.ts'
import { seededRandom } from '../../support/clock.ts'
import { sqlWatched, upstashWatched } from '../../support/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../support/upstash-stand-in.ts'

const startMs = 1_790_000_000_000
const minuteMs = 60_000
const base: LedgerSettings = { ...contractSettings, quotaLimit: 20, replayReserve: 0 }
const { quotaSlackMs: slackMs, quotaLimit: limit } = base
const random = seededRandom(11)
let standIn: UpstashStandIn
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

/** Makes a store. The result opens it, as a process does at its start. */
type Make = (clock: LedgerClock) => (settings: LedgerSettings) => Ledger
const sql: Make = (clock) => {
  const store = nodeSqlite(new DatabaseSync(':memory:'))
  return (settings) => sqlWatched(store, settings, clock)
}
const upstash: Make = (clock) => {
  const prefix = `q${random.hex(6)}`
  return (settings) =>
    upstashWatched({ url: standIn.url, token: standIn.token, settings, timeoutMs: 5_000, prefix, now: clock.now })
}

const ask = async (ledger: Ledger, units: number, nowMs: number): Promise<Admission> => {
  const request = {
    visitorHash: random.hex(8),
    attributes: [{ name: 'a', stamp: makeStamp(nowMs, nowMs, random.hex(8)) }],
    units,
  }
  const [answer] = await ledger.admit([{ ...request, token: random.hex(12) }], 'replay')
  if (answer === undefined) throw new Error('no answer')
  return answer
}

describe.each<[string, number, Make]>([
  ['SQL', 300, sql],
  ['Upstash', 40, upstash],
])('%s', (_, numRuns, make) => {
  it('agrees with a log of every unit, under any settings, even with several processes set differently', async () => {
    const steps = fc.array(
      fc.record({
        waitMs: fc.oneof(
          { weight: 3, arbitrary: fc.integer({ min: 0, max: 400 }) },
          { weight: 3, arbitrary: fc.integer({ min: 0, max: 13_000 }) },
          { weight: 1, arbitrary: fc.integer({ min: -3_000, max: 0 }) },
        ),
        units: fc.integer({ min: 1, max: 8 }),
        /** Which process: they have different settings. */
        process: fc.integer({ min: 0, max: 1 }),
        restart: fc.option(
          fc.record({
            quotaBucketMs: fc.constantFrom(10, 50, 100, 100, 130),
            quotaWindowMs: fc.constantFrom(6_000, 10_000, 13_000),
          }),
          { nil: undefined, freq: 4 },
        ),
      }),
      { maxLength: 60 },
    )
    await fc.assert(
      fc.asyncProperty(steps, async (some) => {
        let nowMs = startMs
        const open = make({ now: () => nowMs })
        const settings = [base, base]
        const ledgers = settings.map(open)
        let newestMs = 0
        const log: { lastMs: number; units: number }[] = []
        for (const { waitMs, units, process, restart } of some) {
          nowMs += waitMs
          if (restart !== undefined) {
            settings[process] = { ...base, ...restart }
            ledgers[process] = open(settings[process])
          }
          const [{ quotaBucketMs, quotaWindowMs }, ledger] = [settings[process] ?? base, ledgers[process] as Ledger]
          // A unit counts until the end of its bucket is older than window and slack.
          const freeMs = (lastMs: number) => lastMs + 1 + quotaWindowMs + slackMs
          const countedAt = (ms: number) =>
            log.filter(({ lastMs }) => freeMs(lastMs) > ms).reduce((sum, one) => sum + one.units, 0)
          const answer = await ask(ledger, units, nowMs)
          if (answer.event !== 'open') throw new Error('not open')
          const granted = answer.verdicts[0] === 'send'
          expect(granted).toBe(countedAt(nowMs) + units <= limit)
          if (granted) {
            newestMs = Math.max(newestMs, (Math.floor(nowMs / quotaBucketMs) + 1) * quotaBucketMs - 1)
            expect(answer.bucket).toBe(newestMs)
            log.push({ lastMs: newestMs, units })
          } else {
            const times = log.map(({ lastMs }) => freeMs(lastMs)).filter((ms) => ms > nowMs)
            expect(answer.retryAtMs).toBe(Math.min(...times.filter((ms) => countedAt(ms) + units <= limit)))
          }
          expect((await ledger.usage()).used).toBe(countedAt(nowMs))
        }
      }),
      { numRuns },
    )
  }, 60_000)
})

/** Admits one unit at a time until the quota refuses; how many were granted. */
async function drain(ledger: Ledger, nowMs: number): Promise<number> {
  for (let granted = 0; ; granted++) {
    const answer = await ask(ledger, 1, nowMs).catch(() => undefined)
    if (answer?.event !== 'open' || answer.verdicts[0] !== 'send') return granted
  }
}

describe.each<[string, number, Make, number[]]>([
  // With a monotonic clock, jumps forward are noticed too.
  ['SQL, with a monotonic clock', 300, sql, [-1_500, -400, -30, -6, 6, 30, 400, 1_500, 3_100]],
  ['Upstash, without one', 40, upstash, [-1_500, -400, -30, -6]],
])('a clock that jumps: %s', (_, numRuns, make, jumpsMinutes) => {
  const dayMs = 24 * 60 * minuteMs
  /** Off by as much, a clock is right. */
  const rightMs = 7_000
  const daily: LedgerSettings = { ...base, quotaWindowMs: dayMs, quotaSlackMs: 15_000, quotaBucketMs: minuteMs }
  it('no rolling window of real time is over the limit, and it goes on once the time is right and confirmed', async () => {
    const step = fc.record({
      waitMs: fc.oneof(fc.integer({ min: 0, max: 10 * minuteMs }), fc.integer({ min: 0, max: 30 * 60 * minuteMs })),
      units: fc.integer({ min: 1, max: 8 }),
      /** How far the clock is off from now on. */
      off: fc.option(
        fc.oneof(
          fc.integer({ min: -rightMs, max: rightMs }),
          fc.constantFrom(...jumpsMinutes).map((minutes) => minutes * minuteMs),
        ),
        { nil: undefined, freq: 2 },
      ),
      restart: fc.option(
        fc.record({
          quotaBucketMs: fc.constantFrom(minuteMs, 10 * minuteMs, 13_000),
          quotaWindowMs: fc.constantFrom(dayMs, 2 * dayMs, 6 * dayMs, dayMs / 2),
        }),
        { nil: undefined, freq: 3 },
      ),
      confirm: fc.boolean(),
      looks: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (some) => {
        let trueMs = startMs
        let offMs = 0
        // Whether the process started while the clock was behind, and has not seen it right since.
        let blind = false
        const clock = { now: () => trueMs + offMs, elapsed: () => trueMs - startMs }
        const open = make(clock)
        let settings = daily
        let ledger = open(settings)
        const log: { atMs: number; units: number }[] = []
        const grant = async (units: number) => {
          const answer = await ask(ledger, units, trueMs).catch(() => undefined)
          if (answer?.event !== 'open' || answer.verdicts[0] !== 'send') return
          log.push({ atMs: trueMs, units })
          const inWindow = log
            .filter(({ atMs }) => atMs > trueMs - settings.quotaWindowMs)
            .reduce((sum, one) => sum + one.units, 0)
          expect(inWindow).toBeLessThanOrEqual(limit)
        }
        for (const { waitMs, units, off, restart, confirm, looks } of some) {
          trueMs += waitMs
          // A process that starts while the clock is ahead cannot notice it, nor can one that started while it was behind.
          offMs = blind ? Math.min(off ?? offMs, rightMs) : (off ?? offMs)
          const right = Math.abs(offMs) <= rightMs
          if (restart !== undefined && (right || offMs < 0)) {
            settings = { ...daily, ...restart }
            ledger = open(settings)
            blind = true
          }
          blind &&= !right
          if (looks) await ledger.usage()
          // An operator confirms the right time.
          if (confirm && right) await ledger.confirmClock()
          await grant(units)
        }
        offMs = 0
        await ledger.confirmClock()
        trueMs += 2 * settings.quotaWindowMs
        await ledger.usage()
        expect(await drain(ledger, trueMs)).toBe(limit)
      }),
      { numRuns },
    )
  }, 120_000)
})
