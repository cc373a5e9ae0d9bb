/** The rolling window against a plain log of every unit: never over, no needless refusal, exact waiting times (G1). */
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Ledger, LedgerSettings } from '../../../src/core/ledger/port.ts'
import { nodeSqlite } from '../../../src/core/ledger/sqlite-node.ts'
import { makeStamp } from '../../../src/core/stamp.ts'
import { contractSettings } from '../../contract/ledger.ts'
import { seededRandom } from '../../support/clock.ts'
import { sqlWatched, upstashWatched } from '../../support/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../support/upstash-stand-in.ts'

const startMs = 1_790_000_000_000
const settings: LedgerSettings = { ...contractSettings, quotaLimit: 20, replayReserve: 0 }
const { quotaWindowMs: windowMs, quotaBucketMs: bucketMs, quotaSlackMs: slackMs, quotaLimit: limit } = settings
const random = seededRandom(11)
let standIn: UpstashStandIn
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

const makers: [string, number, (clock: { now: () => number }) => Ledger][] = [
  ['SQL', 300, (clock) => sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, clock)],
  [
    'Upstash',
    40,
    (clock) =>
      upstashWatched({
        url: standIn.url,
        token: standIn.token,
        settings,
        timeoutMs: 5_000,
        randomHex: random.hex,
        prefix: `q${random.hex(6)}`,
        now: clock.now,
      }),
  ],
]

describe.each(makers)('%s', (_, numRuns, make) => {
  it('agrees with a log of every unit', async () => {
    const steps = fc.array(
      fc.record({
        waitMs: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 13_000 })),
        units: fc.integer({ min: 1, max: 8 }),
      }),
      { maxLength: 60 },
    )
    await fc.assert(
      fc.asyncProperty(steps, async (some) => {
        let nowMs = startMs
        const ledger = make({ now: () => nowMs })
        const log: { atMs: number; units: number }[] = []
        // When a unit taken at `atMs` may be forgotten: the end of its bucket, and window and slack behind it.
        const freeMs = (atMs: number) => (Math.floor(atMs / bucketMs) + 1) * bucketMs + windowMs + slackMs
        const countedAt = (ms: number) => log.filter(({ atMs }) => freeMs(atMs) > ms).reduce((sum, { units }) => sum + units, 0)
        for (const { waitMs, units } of some) {
          nowMs += waitMs
          const stamp = makeStamp(nowMs, nowMs, random.hex(8))
          const [answer] = await ledger.admit(
            [{ visitorHash: random.hex(8), attributes: [{ name: 'a', stamp }], units, token: random.hex(12) }],
            'replay',
          )
          if (answer?.event !== 'open') throw new Error('no answer')
          const granted = answer.verdicts[0] === 'send'
          expect(granted).toBe(countedAt(nowMs) + units <= limit)
          if (granted) log.push({ atMs: nowMs, units })
          else {
            const times = log.map(({ atMs }) => freeMs(atMs)).filter((ms) => ms > nowMs)
            expect(answer.retryAtMs).toBe(Math.min(...times.filter((ms) => countedAt(ms) + units <= limit)))
          }
          const inWindow = log.filter(({ atMs }) => atMs > nowMs - windowMs).reduce((sum, one) => sum + one.units, 0)
          expect(inWindow).toBeLessThanOrEqual(limit)
        }
      }),
      { numRuns },
    )
  }, 60_000)
})
