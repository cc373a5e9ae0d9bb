/** What anybody may ask costs the ledger the same, however many ask; an operator is told what is. */
import { describe, expect, it } from 'vitest'
import type { Summary } from '../src/core/ledger/port.ts'
import { createReady, type ReadinessMemory } from '../src/readiness.ts'
import { parseSettings } from '../src/settings.ts'
import { fakeClock } from './support/clock.ts'
import { settingsFor } from './support/settings.ts'

const usage = { limit: 10, used: 1, remaining: 9, leads: {}, health: { paused: false } } as unknown as Summary

function asked(memory: ReadinessMemory = {}) {
  const parsed = parseSettings(settingsFor('http://127.0.0.1:9'))
  if (!parsed.ok) throw new Error(parsed.problems.join())
  const clock = fakeClock()
  let reads = 0
  let answer: () => Promise<Summary> = async () => usage
  const ask = () => {
    reads++
    return answer()
  }
  const ledger = { kind: 'embedded' as const, summary: ask, recall: async () => undefined }
  const ready = createReady({ settings: parsed.settings, sources: [], ledger, clock, memory })
  return {
    ready,
    clock,
    memory,
    reads: () => reads,
    is: (next: typeof answer) => {
      answer = next
    },
  }
}

describe('readiness', () => {
  it('of a thousand strangers who ask together is asked of the ledger once', async () => {
    const { ready, reads } = asked()
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => ready.remembered()))
    expect([reads(), new Set(answers).size]).toEqual([1, 1])
  })

  it('is remembered for strangers for 5 s, and not longer; an operator is told afresh, and so are they then', async () => {
    const { ready, reads, clock, is } = asked()
    expect((await ready.remembered()).ready).toBe(true)
    is(() => Promise.reject(new Error('silent')))
    await clock.advance(4_999)
    expect((await ready.remembered()).ready).toBe(true)
    await clock.advance(1)
    expect((await ready.remembered()).ready).toBe(false)
    expect(reads()).toBe(2)
    is(async () => usage)
    expect((await ready.fresh()).ready).toBe(true)
    expect((await ready.remembered()).ready).toBe(true)
    expect(reads()).toBe(3)
  })

  it('lies where it outlives what asked for it, and a clock that is set back keeps it no longer', async () => {
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
    expect(await ready.fresh()).toMatchObject({ ready: true, checks: { clocks: 'warn' }, details: { clocksAhead: 'till 61000 ms' } })
  })
})
