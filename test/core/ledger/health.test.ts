/** The breaker's rules on plain data: what opens it, who may probe, what closes it (DESIGN.md §7). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  afterSignal,
  type BreakerCause,
  failuresThatOpen,
  firstProbeMs,
  gateOf,
  type Health,
  healthy,
  lastProbeMs,
  probed,
  probeLivesMs,
  refusalsThatOpen,
  type Signal,
  signals,
  visitorsThatOpen,
} from '../../../src/core/ledger/health.ts'

const nowMs = 1_790_000_000_000
const opened = (cause: BreakerCause, more: Partial<Health> = {}): Health => ({
  ...healthy,
  ...more,
  breaker: { cause, sinceMs: nowMs - 1_000, untilMs: nowMs, probes: 0 },
})
/** The health after `times` attempts that were no probes, each of another visitor unless there are only `visitors`. */
const row = (signal: Signal, times: number, { from = healthy, visitors = times, untilMs = nowMs } = {}): Health => {
  let health = from
  for (let n = 0; n < times; n++) health = afterSignal(health, signal, `v${n % visitors}`, false, untilMs)
  return health
}

describe('the gate', () => {
  const open = opened('unavailable')
  it.each<[string, Health, number, ReturnType<typeof gateOf>]>([
    ['well', healthy, nowMs, 'go'],
    ['paused', { ...healthy, paused: true }, nowMs, 'paused'],
    ['paused while the breaker is open', { ...open, paused: true }, nowMs, 'paused'],
    ['open, and no probe is due', open, nowMs - 1, 'shut'],
    ['open, and a probe is due', open, nowMs, 'probe'],
  ])('%s', (_, health, atMs, gate) => {
    expect(gateOf(health, atMs)).toBe(gate)
  })

  it('lets one probe through, and the next only when that one must be dead', () => {
    const probing = probed(open, nowMs)
    expect([nowMs, nowMs + probeLivesMs - 1, nowMs + probeLivesMs].map((atMs) => gateOf(probing, atMs))).toEqual(['shut', 'shut', 'probe'])
    expect(probing).toEqual({ ...open, breaker: { ...open.breaker, untilMs: nowMs + probeLivesMs } })
    expect(probed(healthy, nowMs)).toBe(healthy)
  })
})

describe('failures in a row', () => {
  it('open it at the fifth, whoever’s they were', () => {
    expect(failuresThatOpen).toBe(5)
    expect(row('down', failuresThatOpen - 1, { visitors: 1 })).toEqual({ ...healthy, failures: failuresThatOpen - 1 })
    expect(row('down', failuresThatOpen, { visitors: 1 })).toEqual({
      ...healthy,
      failures: failuresThatOpen,
      breaker: { cause: 'unavailable', sinceMs: nowMs, untilMs: nowMs + firstProbeMs, probes: 0 },
    })
  })

  it.each(['up', 'refused'] as const)('are in a row no more where Target answered (%s)', (answer) => {
    const almost = row('down', failuresThatOpen - 1)
    expect(afterSignal(almost, answer, 'v', false, nowMs).failures).toBe(0)
  })

  it('of probes double the wait, up to the longest; since when it is open stays', () => {
    let health = row('down', failuresThatOpen)
    let atMs = nowMs
    const waits: number[] = []
    for (let probe = 1; probe <= 12; probe++) {
      atMs = health.breaker?.untilMs ?? 0
      health = afterSignal(probed(health, atMs), 'down', 'v', true, atMs)
      waits.push((health.breaker?.untilMs ?? 0) - atMs)
      expect(health).toMatchObject({ failures: failuresThatOpen + probe, breaker: { cause: 'unavailable', sinceMs: nowMs, probes: probe } })
    }
    expect(waits).toEqual([10_000, 20_000, 40_000, ...Array.from({ length: 9 }, () => lastProbeMs)])
    expect(lastProbeMs).toBe(60_000)
  })

  it('a probe that fails leaves the cause as it was: what is wrong may be known better than "no answer"', () => {
    expect(afterSignal(opened('misconfigured'), 'down', 'v', true, nowMs).breaker).toEqual({
      cause: 'misconfigured',
      sinceMs: nowMs - 1_000,
      untilMs: nowMs + 2 * firstProbeMs,
      probes: 1,
    })
  })
})

describe('a wrong address or token', () => {
  it('opens it at once, with the longest wait', () => {
    expect(afterSignal({ ...healthy, failures: 3, refusals: 2, refused: ['v'] }, 'wrong', 'v', false, nowMs)).toEqual({
      paused: false,
      failures: 0,
      refusals: 2,
      refused: ['v'],
      breaker: { cause: 'misconfigured', sinceMs: nowMs, untilMs: nowMs + lastProbeMs, probes: 0 },
    })
  })

  it('that a probe meets is the cause from then on', () => {
    expect(afterSignal(opened('unavailable'), 'wrong', 'v', true, nowMs).breaker).toEqual({
      cause: 'misconfigured',
      sinceMs: nowMs - 1_000,
      untilMs: nowMs + lastProbeMs,
      probes: 1,
    })
  })
})

describe('refusals in a row', () => {
  it(`open it at the twentieth, where five visitors or more were refused`, () => {
    expect([refusalsThatOpen, visitorsThatOpen]).toEqual([20, 5])
    expect(row('refused', refusalsThatOpen - 1).breaker).toBeUndefined()
    expect(row('refused', refusalsThatOpen, { visitors: visitorsThatOpen })).toEqual({
      ...healthy,
      refusals: refusalsThatOpen,
      refused: ['v0', 'v1', 'v2', 'v3', 'v4'],
      breaker: { cause: 'systemic', sinceMs: nowMs, untilMs: nowMs + lastProbeMs, probes: 0 },
    })
  })

  it('of fewer visitors are verdicts, however many', () => {
    expect(row('refused', 10 * refusalsThatOpen, { visitors: visitorsThatOpen - 1 })).toEqual({
      ...healthy,
      refusals: 10 * refusalsThatOpen,
      refused: ['v0', 'v1', 'v2', 'v3'],
    })
  })

  it('remembers each visitor once, and no more than tell a pattern', () => {
    expect(row('refused', 7, { visitors: 2 }).refused).toEqual(['v0', 'v1'])
    expect(row('refused', 15).refused).toHaveLength(visitorsThatOpen)
  })

  it('begin anew after a yes', () => {
    expect(afterSignal(row('refused', refusalsThatOpen - 1), 'up', 'v', false, nowMs)).toEqual(healthy)
  })

  it('go on after a failure: no answer is no yes', () => {
    expect(afterSignal(row('refused', 3), 'down', 'v', false, nowMs)).toMatchObject({ refusals: 3, failures: 1 })
  })

  it('a refused probe closes a breaker that was open because nothing answered', () => {
    expect(afterSignal(opened('unavailable', { failures: 7 }), 'refused', 'v', true, nowMs)).toEqual({
      ...healthy,
      refusals: 1,
      refused: ['v'],
    })
  })

  it('a refused probe of a systemic failure keeps it open', () => {
    expect(afterSignal(opened('systemic'), 'refused', 'v', true, nowMs).breaker).toEqual({
      cause: 'systemic',
      sinceMs: nowMs - 1_000,
      untilMs: nowMs + lastProbeMs,
      probes: 1,
    })
  })
})

describe('whatever happens', () => {
  const healths = fc.oneof(
    fc.constant(healthy),
    fc.constantFrom<BreakerCause>('unavailable', 'misconfigured', 'systemic').map((cause) => opened(cause)),
  )
  it('a yes closes it, also of an attempt that was no probe', () => {
    fc.assert(
      fc.property(healths, fc.boolean(), fc.boolean(), (health, probe, paused) => {
        expect(afterSignal({ ...health, paused }, 'up', 'v', probe, nowMs)).toEqual({ ...healthy, paused })
      }),
    )
  })

  it('while it is open, what others report of before changes nothing', () => {
    for (const signal of signals.filter((one) => one !== 'up')) {
      const health = opened('unavailable')
      expect(afterSignal(health, signal, 'v', false, nowMs)).toBe(health)
    }
  })

  it('the operator’s pause stays as it is', () => {
    fc.assert(
      fc.property(healths, fc.constantFrom(...signals), fc.boolean(), fc.boolean(), (health, signal, probe, paused) => {
        expect(afterSignal({ ...health, paused }, signal, 'v', probe, nowMs).paused).toBe(paused)
      }),
    )
  })
})
