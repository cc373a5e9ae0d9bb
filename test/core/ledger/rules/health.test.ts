/** The breaker's rules on plain data: what opens it, whom it holds back, who probes and what closes it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  afterSignal,
  deniedThatOpen,
  failuresThatOpen,
  firstProbeMs,
  gateOf,
  type Health,
  healthy,
  isDoubtful,
  lastProbeMs,
  probed,
  probeLivesMs,
  refusalsThatOpen,
  type Signal,
  type Told,
  traitsOf,
  visitorsThatOpen,
} from '../../../../src/core/ledger/rules/health.ts'

const nowMs = 1_790_000_000_000
/** The health of a relay to which Target has said yes before. */
const known: Health = { ...healthy, saidYes: true }
const about = (visitor: string, source = 'crm', names = ['tier']) => traitsOf(visitor, [source], names)
const told = (
  signal: Signal,
  visitor: string,
  more: Partial<Told> & { source?: string; names?: string[] } = {},
): Told => ({
  signal,
  visitorHash: visitor,
  traits: about(visitor, more.source, more.names),
  failedBefore: false,
  probe: false,
  ...more,
})
const tell = (signals: readonly Told[], from: Health = known, atMs = nowMs) =>
  signals.reduce((health, one) => afterSignal(health, one, atMs), from)
const gate = (
  health: Health,
  traits: readonly string[],
  atMs = nowMs,
  more: { failedBefore?: boolean; lastResort?: boolean } = {},
) => gateOf(health, { traits, failedBefore: false, lastResort: false, ...more }, atMs)
const visitors = (count: number) => Array.from({ length: count }, (_, index) => `visitor-${index}`)

describe('what opens the breaker', () => {
  it(`${failuresThatOpen} consecutive failures of first tries do, one fewer or a yes in between does not`, () => {
    const downs = visitors(failuresThatOpen).map((visitor) => told('down', visitor))
    expect(tell(downs.slice(1)).breaker).toBeUndefined()
    expect(tell([...downs.slice(1), told('up', 'other'), ...downs.slice(1)]).breaker).toBeUndefined()
    expect(tell(downs).breaker).toMatchObject({ cause: 'unavailable', untilMs: nowMs + firstProbeMs, probes: 0 })
  })

  it('retries of what failed before do not, however many', () => {
    expect(tell(visitors(50).map((visitor) => told('down', visitor, { failedBefore: true })))).toEqual(known)
  })

  it('failures are not consecutive if Target answers in between', () => {
    const downs = visitors(failuresThatOpen - 1).map((visitor) => told('down', visitor))
    expect(tell([...downs, told('refused', 'x'), ...downs]).breaker).toBeUndefined()
    expect(tell([...downs, told('wrong', 'x'), ...downs]).breaker).toBeUndefined()
  })

  it('before the first yes ever, one refusal does, and is not a verdict until there is a yes', () => {
    const refused = tell([told('refused', 'x')], healthy)
    expect(refused.breaker).toMatchObject({ cause: 'systemic', traits: about('x') })
    const yes = tell([told('up', 'y')], refused)
    expect(yes).toEqual(known)
    expect([healthy, refused, yes, tell([told('refused', 'x')], yes)].map(isDoubtful)).toEqual([
      true,
      true,
      false,
      false,
    ])
    const systemic = tell(visitors(refusalsThatOpen).map((visitor) => told('refused', visitor)))
    const unavailable = tell(visitors(failuresThatOpen).map((visitor) => told('down', visitor)))
    expect([systemic, unavailable].map(isDoubtful)).toEqual([true, false])
  })

  it(`${deniedThatOpen} different visitors denied consecutively do, one visitor never does`, () => {
    expect(tell(visitors(50).map(() => told('wrong', 'the same'))).breaker).toBeUndefined()
    const denied = visitors(deniedThatOpen).map((visitor) => told('wrong', visitor))
    expect(tell([denied[0] as Told, told('up', 'other'), ...denied.slice(1)]).breaker).toBeUndefined()
    expect(tell(denied).breaker).toMatchObject({ cause: 'misconfigured', untilMs: nowMs + lastProbeMs })
  })

  it('before the first yes ever, one denial does, and after it no longer', () => {
    expect(tell([told('wrong', 'x')], healthy).breaker).toMatchObject({ cause: 'misconfigured', traits: about('x') })
    expect(tell([told('up', 'y'), told('wrong', 'x')], healthy).breaker).toBeUndefined()
  })

  it(`${refusalsThatOpen} consecutive refusals of ${visitorsThatOpen} visitors do, those of fewer visitors never do`, () => {
    const refusals = (whose: number, count: number) =>
      visitors(count).map((_, index) => told('refused', `visitor-${index % whose}`))
    expect(tell(refusals(visitorsThatOpen - 1, 100)).breaker).toBeUndefined()
    expect(tell(refusals(visitorsThatOpen, refusalsThatOpen - 1)).breaker).toBeUndefined()
    expect(tell(refusals(visitorsThatOpen, refusalsThatOpen)).breaker).toMatchObject({
      cause: 'systemic',
      untilMs: nowMs + lastProbeMs,
    })
  })
})

describe('what is remembered', () => {
  it('includes a verdict of Target on what failed before', () => {
    const refusals = visitors(refusalsThatOpen).map((visitor) => told('refused', visitor, { failedBefore: true }))
    expect(tell(refusals).breaker?.cause).toBe('systemic')
  })

  it('of visitors is as many as make a pattern, each once', () => {
    const many = visitors(50).flatMap((visitor) => [told('refused', visitor), told('wrong', visitor)])
    const { refused, denied, refusals } = tell([...many, ...many])
    expect([refused, denied, refusals]).toEqual([visitors(visitorsThatOpen), visitors(deniedThatOpen), 100])
  })
})

describe('whom it holds back', () => {
  it('updates that share everything the failed ones had in common, and no others', () => {
    const health = tell(
      visitors(failuresThatOpen).map((visitor) => told('down', visitor, { source: 'kiosk', names: ['page', visitor] })),
    )
    expect(health.breaker?.traits).toEqual(['s:kiosk', 'a:page'])
    expect(gate(health, about('new', 'kiosk', ['page', 'more']))).toBe('shut')
    expect(gate(health, about('new', 'kiosk', ['other']))).toBe('go')
    expect(gate(health, about('new', 'crm', ['page']))).toBe('go')
  })

  it('everybody, if the failed ones had nothing in common; each different failure widens it', () => {
    const narrow = tell(visitors(failuresThatOpen).map((visitor) => told('down', visitor)))
    const wider = tell([told('down', 'x', { source: 'loan' })], narrow)
    expect(wider.breaker?.traits).toEqual(['a:tier'])
    const whole = tell([told('down', 'y', { source: 'loan', names: ['status'] })], wider)
    expect(gate(whole, about('anybody', 'new', ['anything']))).toBe('shut')
  })

  it('another kind of failure widens it once it is a pattern too, and not before', () => {
    const narrow = tell(visitors(failuresThatOpen).map((visitor) => told('down', visitor)))
    const denied = visitors(deniedThatOpen).map((visitor) =>
      told('wrong', visitor, { source: 'loan', names: ['status'] }),
    )
    expect(gate(tell(denied.slice(1), narrow), about('z', 'third', ['x']))).toBe('go')
    const both = tell(denied, narrow)
    expect(both.breaker?.cause).toBe('unavailable')
    expect(gate(both, about('z', 'third', ['x']))).toBe('shut')
  })

  it('what a whole pattern has in common counts, not what its last failure is about', () => {
    const narrow = tell(visitors(failuresThatOpen).map((visitor) => told('down', visitor)))
    const denied = [
      told('wrong', 'x', { source: 'loan', names: ['status'] }),
      told('wrong', 'y', { source: 'loan' }),
      told('wrong', 'z'),
    ]
    expect(tell(denied, narrow).breaker?.traits).toEqual([])
  })

  it('a failure of the same kind widens it, even if Target has answered in between', () => {
    const narrow = tell(visitors(failuresThatOpen).map((visitor) => told('down', visitor)))
    const after = tell([told('refused', 'x'), told('down', 'y', { source: 'loan' })], narrow)
    expect(after.breaker?.traits).toEqual(['a:tier'])
  })

  it('if all are refused, updates that share what all of those had in common', () => {
    const refusals = visitors(refusalsThatOpen).map((visitor) =>
      told('refused', visitor, { source: 'kiosk', names: [visitor] }),
    )
    expect(tell(refusals).breaker?.traits).toEqual(['s:kiosk'])
  })

  it('everything while the relay is paused', () => {
    expect(gate({ ...healthy, paused: true }, about('x'))).toBe('paused')
    expect(tell([told('up', 'x')], { ...healthy, paused: true }).paused).toBe(true)
  })
})

describe('probes', () => {
  const open = tell(visitors(failuresThatOpen).map((visitor) => told('down', visitor)))

  it('one is sent when its time has come, the next only once that one was settled or has timed out', () => {
    expect(gate(open, about('x'), nowMs + firstProbeMs - 1)).toBe('shut')
    expect(gate(open, about('x'), nowMs + firstProbeMs)).toBe('probe')
    const out = probed(open, nowMs + firstProbeMs)
    expect(gate(out, about('y'), nowMs + firstProbeMs + probeLivesMs - 1)).toBe('shut')
    expect(gate(out, about('y'), nowMs + firstProbeMs + probeLivesMs)).toBe('probe')
    expect(probed(healthy, nowMs)).toEqual(healthy)
  })

  it('an update that failed before is not used as one, unless the flush has nothing else', () => {
    expect(gate(open, about('x'), nowMs + firstProbeMs, { failedBefore: true })).toBe('shut')
    expect(gate(open, about('x'), nowMs + firstProbeMs, { failedBefore: true, lastResort: true })).toBe('probe')
  })

  it('one that an earlier breaker let through and that fails widens the current breaker', () => {
    expect(tell([told('down', 'x', { probe: true, source: 'loan' })], open).breaker).toMatchObject({
      probes: 1,
      traits: ['a:tier'],
    })
  })

  it('each that fails doubles the wait up to the maximum', () => {
    let health = open
    for (const waitMs of [10_000, 20_000, 40_000, 60_000, 60_000]) {
      health = tell([told('down', 'x', { probe: true, failedBefore: true })], health)
      expect(health.breaker).toMatchObject({ cause: 'unavailable', sinceMs: nowMs, untilMs: nowMs + waitMs })
    }
    expect(health.breaker?.probes).toBe(5)
  })

  it('other attempts that are settled meanwhile change neither their time nor their count', () => {
    expect(tell([told('down', 'x'), told('wrong', 'y'), told('refused', 'z')], open).breaker).toMatchObject({
      untilMs: nowMs + firstProbeMs,
      probes: 0,
    })
  })

  it('a yes for anybody closes the breaker and forgets what opened it', () => {
    expect(tell([told('up', 'somebody', { source: 'other' })], open)).toEqual(known)
  })

  it('a refused one closes the breaker, since Target answers; not while everybody is refused', () => {
    expect(tell([told('refused', 'x', { probe: true })], open).breaker).toBeUndefined()
    const denied = tell(visitors(deniedThatOpen).map((visitor) => told('wrong', visitor)))
    const closed = tell([told('refused', 'x', { probe: true })], denied)
    expect(closed.breaker).toBeUndefined()
    // The count of denials starts again as well: the next one is the first.
    expect(tell([told('wrong', 'new')], closed).breaker).toBeUndefined()
    const systemic = tell(visitors(refusalsThatOpen).map((visitor) => told('refused', visitor)))
    expect(tell([told('refused', 'x', { probe: true })], systemic).breaker).toMatchObject({
      cause: 'systemic',
      probes: 1,
    })
  })

  it('those without an answer do not turn a wrong token into an outage, however many', () => {
    const denied = tell(visitors(deniedThatOpen).map((visitor) => told('wrong', visitor)))
    const silent = tell(
      visitors(2 * failuresThatOpen).map((visitor) => told('down', visitor, { probe: true })),
      denied,
    )
    expect(silent.breaker).toMatchObject({
      cause: 'misconfigured',
      untilMs: nowMs + lastProbeMs,
      probes: 2 * failuresThatOpen,
    })
  })

  it('one that is denied does not turn an outage into a wrong token; three visitors do', () => {
    const once = tell([told('wrong', 'x', { probe: true })], open)
    expect(once.breaker).toMatchObject({ cause: 'unavailable', probes: 1 })
    const thrice = tell([told('wrong', 'y', { probe: true }), told('wrong', 'z', { probe: true })], once)
    expect(thrice.breaker).toMatchObject({ cause: 'misconfigured', untilMs: nowMs + lastProbeMs })
  })
})

describe('G7: no single visitor, source or attribute blocks another’s update', () => {
  const names = ['tier', 'city', 'page']
  const sources = ['crm', 'kiosk', 'loan']
  const attempt = fc.record({
    visitor: fc.constantFrom('v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7'),
    sources: fc.subarray(sources, { minLength: 1 }),
    names: fc.subarray(names, { minLength: 1 }),
    signal: fc.constantFrom('down' as const, 'refused' as const, 'wrong' as const),
    failedBefore: fc.boolean(),
    probe: fc.boolean(),
    waitMs: fc.integer({ min: 0, max: 70_000 }),
  })

  it.each(['v:v1', 's:kiosk', 'a:page'])('whatever Target answers to every update with %s', (guilty) => {
    fc.assert(
      fc.property(fc.array(attempt, { maxLength: 80 }), (attempts) => {
        let health = healthy
        let atMs = nowMs
        for (const { visitor, sources: whose, names: which, waitMs, ...rest } of attempts) {
          atMs += waitMs
          const traits = traitsOf(visitor, whose, which)
          if (traits.includes(guilty)) health = afterSignal(health, { visitorHash: visitor, traits, ...rest }, atMs)
          else expect(gate(health, traits, atMs, { failedBefore: rest.failedBefore })).toBe('go')
        }
      }),
      { numRuns: 500 },
    )
  })

  it('an outage for everybody holds back everybody after a few calls', () => {
    fc.assert(
      fc.property(fc.array(attempt, { minLength: 60, maxLength: 60 }), (attempts) => {
        let health = healthy
        let calls = 0
        for (const { visitor, sources: whose, names: which } of attempts) {
          const traits = traitsOf(visitor, whose, which)
          if (gate(health, traits) !== 'go') continue
          calls++
          health = afterSignal(
            health,
            { signal: 'down', visitorHash: visitor, traits, failedBefore: false, probe: false },
            nowMs,
          )
        }
        // Each call that the breaker lets through takes at least one trait from it.
        expect(calls).toBeLessThanOrEqual(failuresThatOpen + 1 + sources.length + names.length)
      }),
    )
  })
})
