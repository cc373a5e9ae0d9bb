/** Anonymous readiness checks cost the ledger the same however many there are; an operator gets the current state. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { notedBacklog } from '../../src/core/backlog/noted.ts'
import type { Entry } from '../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../src/core/backlog/sqlite.ts'
import type { Summary } from '../../src/core/ledger/port.ts'
import { noSpan } from '../../src/core/spans.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { createReady, type ReadinessMemory } from '../../src/relay/readiness.ts'
import { parseSettings } from '../../src/relay/settings.ts'
import { fakeClock, seededRandom } from '../support/clock.ts'
import { plainSeal } from '../support/seal.ts'
import { settingsFor } from '../support/settings.ts'

const usage = { limit: 10, used: 1, remaining: 9, leads: {}, health: { paused: false } } as unknown as Summary

const entryOf = (value: string): Entry => ({
  visitor: { thirdPartyId: 'v' },
  visitorHash: 'ab',
  attributes: [{ name: 'tier', value }],
  stamp: makeStamp(1, 1, '0'.repeat(16)),
  source: 'api',
  firstSeenMs: 1,
})

function asked(memory: ReadinessMemory = {}) {
  const parsed = parseSettings(settingsFor('http://127.0.0.1:9'))
  if (!parsed.ok) throw new Error(parsed.problems.join())
  const clock = fakeClock()
  let reads = 0
  let store: () => Promise<void> = async () => {}
  let answer: () => Promise<Summary> = async () => usage
  const ask = () => {
    reads++
    return answer()
  }
  const ledger = { kind: 'embedded' as const, summary: ask, recall: async () => undefined }
  const backlog = { check: () => store() }
  const ready = createReady({ settings: parsed.settings, sources: [], ledger, backlog, clock, memory })
  return {
    ready,
    clock,
    memory,
    reads: () => reads,
    is: (next: typeof answer) => {
      answer = next
    },
    storeIs: (next: typeof store) => {
      store = next
    },
  }
}

describe('readiness', () => {
  it('is read from the ledger once for a thousand simultaneous requests', async () => {
    const { ready, reads } = asked()
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => ready.remembered()))
    expect([reads(), new Set(answers).size]).toEqual([1, 1])
  })

  it('is cached for strangers for 5 s; an operator gets a fresh answer, which refreshes the cache', async () => {
    const { ready, reads, clock, is, storeIs } = asked()
    expect((await ready.remembered()).ready).toBe(true)
    storeIs(() => Promise.reject(new Error('gone')))
    await clock.advance(4_999)
    expect((await ready.remembered()).ready).toBe(true)
    await clock.advance(1)
    expect((await ready.remembered()).ready).toBe(false)
    expect(reads()).toBe(2)
    storeIs(async () => {})
    is(async () => usage)
    expect((await ready.fresh()).ready).toBe(true)
    expect((await ready.remembered()).ready).toBe(true)
    expect(reads()).toBe(3)
  })

  it('is cached in memory that instances share, and discarded when the clock is set back', async () => {
    const memory: ReadinessMemory = {}
    const first = asked(memory)
    await first.clock.advance(60_000)
    await first.ready.remembered()
    const second = asked(memory)
    await second.clock.advance(60_000)
    await second.ready.remembered()
    expect(second.reads()).toBe(0)
    const setBack = asked(memory)
    await setBack.ready.remembered()
    expect(setBack.reads()).toBe(1)
  })

  it('names the sources whose clocks are ahead', async () => {
    const { ready, is } = asked()
    is(async () => ({ ...usage, leads: { till: 61_000 } }))
    expect(await ready.fresh()).toMatchObject({
      ready: true,
      checks: { clocks: 'warn' },
      details: { clocksAhead: 'till 61000 ms' },
    })
  })

  const breaker = { sinceMs: 0, untilMs: 0, probes: 0, traits: [] }
  it.each<[string, Partial<Summary>, object]>([
    [
      'Target rejects the token',
      { health: { paused: false, breaker: { ...breaker, cause: 'misconfigured' } } as never },
      { target: 'fail' },
    ],
    [
      'Target refuses everything',
      { health: { paused: false, breaker: { ...breaker, cause: 'systemic' } } as never },
      { target: 'fail' },
    ],
    [
      'Target is down',
      { health: { paused: false, breaker: { ...breaker, cause: 'unavailable' } } as never },
      { target: 'warn' },
    ],
    ['the quota is used up', { used: 10, remaining: 0 }, {}],
    ['the clock has jumped', { clock: { jumpedByMs: 1 } } as never, { ledger: 'warn' }],
  ])('is about this instance: %s, and it is ready all the same', async (_, summary, checks) => {
    const { ready, is } = asked()
    is(async () => ({ ...usage, ...summary }))
    expect(await ready.fresh()).toMatchObject({ ready: true, checks: { store: 'ok', ...checks } })
  })

  it('reports a silent ledger with its error’s name, and is ready all the same', async () => {
    const { ready, is } = asked()
    is(() => Promise.reject(new RangeError('nobody@example.com')))
    expect(await ready.fresh()).toMatchObject({
      ready: true,
      checks: { ledger: 'fail' },
      details: { ledgerError: 'RangeError' },
    })
  })

  it('fails at once, and names the error, when the store can keep nothing', async () => {
    const { ready, storeIs } = asked()
    storeIs(() => Promise.reject(new RangeError('a path')))
    expect(await ready.fresh()).toMatchObject({
      ready: false,
      checks: { store: 'fail' },
      details: { storeError: 'RangeError' },
    })
  })

  it('fails for 30 s after a failed write of the store, or until a write succeeds', async () => {
    const memory: ReadinessMemory = {}
    const { ready, clock } = asked(memory)
    const full = new DatabaseSync(':memory:')
    const kept = sqliteBacklog(nodeSqlite(full), { randomHex: seededRandom(1).hex, seal: plainSeal })
    const backlog = notedBacklog(kept, { clock, memory, log: () => undefined, span: noSpan })
    const entry = entryOf('c'.repeat(20_000))
    await backlog.put(entry)
    const [{ page_count: pages } = {}] = full.prepare('PRAGMA page_count').all()
    full.exec(`PRAGMA max_page_count = ${pages}`)
    await expect(backlog.put(entry)).rejects.toThrow('full')
    expect((await ready.fresh()).ready).toBe(false)
    await clock.advance(29_999)
    expect((await ready.fresh()).ready).toBe(false)
    await clock.advance(1)
    expect((await ready.fresh()).ready).toBe(true)
    await expect(
      backlog.bury({ reason: 'expired', source: 'api', atMs: 0, firstSeenMs: 0, attempts: 0, entry }),
    ).rejects.toThrow('full')
    expect((await ready.fresh()).ready).toBe(false)
    full.exec('PRAGMA max_page_count = 10000')
    await backlog.put(entry)
    expect((await ready.fresh()).ready).toBe(true)
    await backlog.check()
  })
})
