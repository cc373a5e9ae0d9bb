/** The rules of PROTOCOL.md on plain data, line by line, and what they are there for (G3, G4). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LedgerSettings, Outcome } from '../../../src/core/ledger/port.ts'
import {
  admitted,
  type EventRecord,
  judge,
  judgeEvent,
  type OpenAttempt,
  type Register,
  registerLivesUntilMs,
  settled,
} from '../../../src/core/ledger/register.ts'
import { makeStamp } from '../../../src/core/stamp.ts'

const nowMs = 1_790_000_000_000
const settings: LedgerSettings = {
  quotaLimit: 100,
  quotaWindowMs: 10_000,
  quotaBucketMs: 100,
  quotaSlackMs: 1_500,
  replayReserve: 0.1,
  retentionMs: 3_600_000,
  youngMs: 10_000,
}
const at = (ms: number) => makeStamp(nowMs + ms, nowMs + ms, '0123456789abcdef')
const open = (stamp: string, ageMs: number, more: Partial<OpenAttempt> = {}): OpenAttempt => ({
  stamp,
  atMs: nowMs - ageMs,
  token: 'token',
  ...more,
})
const young = settings.youngMs
const aged = young + 1

describe('admit: the first line that fits', () => {
  const due = { attempts: 1, notBeforeMs: nowMs }
  const notDue = { attempts: 1, notBeforeMs: nowMs + 1 }
  it.each<[string, Register | undefined, string, ReturnType<typeof judge>]>([
    ['nothing known', undefined, at(0), 'send'],
    ['an empty register', {}, at(0), 'send'],
    ['just within the retention', {}, at(-settings.retentionMs), 'send'],
    ['beyond the retention', {}, at(-settings.retentionMs - 1), 'expired'],
    ['beyond the retention, delivered long ago', { done: at(0) }, at(-settings.retentionMs - 1), 'expired'],
    ['beyond the retention, a newer one open', { open: open(at(0), aged) }, at(-settings.retentionMs - 1), 'overtaken'],
    ['beyond the retention, itself open', { open: open(at(-settings.retentionMs - 1), aged) }, at(-settings.retentionMs - 1), 'expired'],
    ['delivered', { done: at(0) }, at(0), 'delivered'],
    ['delivered, and a newer one open', { done: at(0), open: open(at(5), 0) }, at(0), 'delivered'],
    ['a newer one delivered', { done: at(1) }, at(0), 'superseded'],
    ['an older one delivered', { done: at(-1) }, at(0), 'send'],
    ['a newer one open', { open: open(at(1), 0) }, at(0), 'waits'],
    ['a newer one open, however old its attempt', { open: open(at(1), nowMs) }, at(0), 'waits'],
    ['itself open and young', { open: open(at(0), young) }, at(0), 'contended'],
    ['an older one open and young', { open: open(at(-1), young) }, at(0), 'contended'],
    ['admitted in a future that a clock stepping back left', { open: open(at(0), -5_000) }, at(0), 'contended'],
    ['itself open and aged', { open: open(at(0), aged) }, at(0), 'send'],
    ['an older one open and aged', { open: open(at(-1), aged) }, at(0), 'send'],
  ])('%s', (_, register, stamp, verdict) => {
    expect(judge(register, stamp, nowMs, { lane: 'live' }, settings)).toBe(verdict)
  })

  it('a backoff that is not due keeps replay off, and no other lane', () => {
    const verdicts = (backoff: typeof due) =>
      (['high', 'live', 'replay', 'bulk'] as const).map((lane) => judge({}, at(0), nowMs, { lane, backoff }, settings))
    expect(verdicts(notDue)).toEqual(['send', 'send', 'backoff', 'send'])
    expect(verdicts(due)).toEqual(['send', 'send', 'send', 'send'])
  })

  it('a backoff is the last reason, not the first', () => {
    expect(judge({ done: at(0) }, at(0), nowMs, { lane: 'replay', backoff: notDue }, settings)).toBe('delivered')
    expect(judge({ open: open(at(1), aged) }, at(0), nowMs, { lane: 'replay', backoff: notDue }, settings)).toBe('waits')
    expect(judge({ open: open(at(0), young) }, at(0), nowMs, { lane: 'replay', backoff: notDue }, settings)).toBe('contended')
  })
})

describe('admit: what the register becomes', () => {
  const mine = { atMs: nowMs, token: 'new' }
  it.each<[string, Register | undefined, Register]>([
    ['nothing known', undefined, { open: { stamp: at(10), ...mine } }],
    ['an older one delivered', { done: at(5) }, { done: at(5), open: { stamp: at(10), ...mine } }],
    ['an older one open', { open: open(at(5), aged) }, { open: { stamp: at(10), ...mine, below: [at(5)] } }],
    [
      'an older one open, newer than what was delivered',
      { done: at(1), open: open(at(5), aged) },
      { done: at(1), open: { stamp: at(10), ...mine, below: [at(5)] } },
    ],
    [
      'an open one that something delivered has passed: it is not to be opened again',
      { done: at(5), open: open(at(5), aged) },
      { done: at(5), open: { stamp: at(10), ...mine } },
    ],
    ['itself open', { open: open(at(10), aged) }, { open: { stamp: at(10), ...mine, again: true } }],
    [
      'itself open above another: what is below stays',
      { open: open(at(10), aged, { below: [at(5)] }) },
      { open: { stamp: at(10), ...mine, again: true, below: [at(5)] } },
    ],
    [
      'an older one open above another: both stay',
      { open: open(at(5), aged, { below: [at(2)] }) },
      { open: { stamp: at(10), ...mine, below: [at(5), at(2)] } },
    ],
    [
      'too many below: the oldest kept stands for the rest, and is there twice',
      { open: open(at(9), aged, { below: [8, 7, 6, 5, 4, 3, 2, 1].map((ms) => at(ms)) }) },
      { open: { stamp: at(10), ...mine, below: [9, 8, 7, 6, 5, 4, 3, 3].map((ms) => at(ms)) } },
    ],
  ])('%s', (_, before, after) => {
    expect(admitted(before, at(10), nowMs, 'new')).toEqual(after)
  })

  it('leaves what it was given as it is', () => {
    const before: Register = Object.freeze({ done: at(1), open: Object.freeze(open(at(5), aged)) })
    admitted(before, at(10), nowMs, 'new')
    settled(before, at(5), 'delivered', 'token')
    expect(before).toEqual({ done: at(1), open: open(at(5), aged) })
  })
})

describe('settle', () => {
  const before: Register = { done: at(1), open: open(at(10), 0, { again: true, below: [at(5), at(3)] }) }
  const nobodys = (stamp: string) => ({ stamp, atMs: 0, token: '' })
  it.each<[Outcome, Register, boolean]>([
    ['delivered', { done: at(10) }, true],
    ['unsent', { done: at(1), open: { ...nobodys(at(10)), below: [at(5), at(3)] } }, true],
    ['refused', { done: at(1), open: { ...nobodys(at(5)), below: [at(3)] } }, true],
    ['unknown', before, false],
  ])('%s', (outcome, register, closed) => {
    expect(settled(before, at(10), outcome, 'token')).toEqual({ register, closed })
  })

  it.each(['unsent', 'refused'] as const)('%s with nothing before it leaves nothing open', (outcome) => {
    expect(settled({ open: open(at(10), 0) }, at(10), outcome, 'token')).toEqual({ register: {}, closed: true })
  })

  it.each<[Outcome, Register]>([
    ['delivered', { ...before, done: at(10) }],
    ['unsent', before],
    ['refused', before],
    ['unknown', before],
  ])('%s of another attempt moves nothing but what was delivered', (outcome, register) => {
    expect(settled(before, at(10), outcome, 'another token')).toEqual({ register, closed: false })
  })

  it('an attempt that is nobody’s is not closed by a settlement without a name', () => {
    const aged: Register = { open: nobodys(at(5)) }
    expect(settled(aged, at(5), 'unsent', '')).toEqual({ register: aged, closed: false })
  })

  it('done never moves back', () => {
    expect(settled({ done: at(20) }, at(10), 'delivered', 'token').register).toEqual({ done: at(20) })
    expect(settled({ done: at(5) }, at(10), 'delivered', 'token').register).toEqual({ done: at(10) })
  })

  it('says of an unknown register what it can', () => {
    expect(settled(undefined, at(10), 'delivered', 'token')).toEqual({ register: { done: at(10) }, closed: false })
    expect(settled(undefined, at(10), 'unsent', 'token')).toEqual({ register: {}, closed: false })
  })
})

describe('event ids (G4)', () => {
  const seen = (ageMs: number, done = false): EventRecord => ({ stamp: at(-50), atMs: nowMs - ageMs, done })
  it.each<[string, EventRecord | undefined, ReturnType<typeof judgeEvent>]>([
    ['not seen', undefined, { kind: 'open', record: { stamp: at(0), atMs: nowMs, done: false } }],
    ['done', seen(0, true), { kind: 'duplicate' }],
    ['done long ago', seen(nowMs, true), { kind: 'duplicate' }],
    ['young', seen(young), { kind: 'in_flight' }],
    ['aged: again, under the first stamp', seen(aged), { kind: 'open', record: { stamp: at(-50), atMs: nowMs, done: false } }],
  ])('%s', (_, record, verdict) => {
    expect(judgeEvent(record, at(0), nowMs, settings)).toEqual(verdict)
  })
})

describe('lifetime', () => {
  const lifeMs = settings.retentionMs + settings.quotaSlackMs + settings.youngMs
  it('counts from now for a stamp of the past, and from the stamp for one of the future, which would outlive it else', () => {
    expect(registerLivesUntilMs(at(-1_000), nowMs, settings)).toBe(nowMs + lifeMs)
    expect(registerLivesUntilMs(at(1_000), nowMs, settings)).toBe(nowMs + 1_000 + lifeMs)
  })
})

describe('newest wins (G3), whatever the order of tries, outcomes, crashes and late settles', () => {
  type Step = { readonly stamp: number; readonly outcome: Outcome | 'crash'; readonly settleLate: boolean }
  const step: fc.Arbitrary<Step> = fc.record({
    stamp: fc.integer({ min: 0, max: 5 }),
    outcome: fc.constantFrom('delivered', 'unsent', 'refused', 'unknown', 'crash'),
    settleLate: fc.boolean(),
  })

  it('no value is sent below one that was delivered, or that may have been', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        let register: Register | undefined
        let clockMs = nowMs
        /** The newest that Target accepted and that the ledger was told of, and all that may have got there. */
        let delivered = -1
        let maybe: number[] = []
        const late: (() => void)[] = []
        steps.forEach(({ stamp: place, outcome, settleLate }, index) => {
          clockMs += aged
          const stamp = at(place)
          if (judge(register, stamp, clockMs, { lane: 'live' }, settings) !== 'send') return
          expect(place).toBeGreaterThan(delivered)
          expect(place).toBeGreaterThanOrEqual(Math.max(-1, ...maybe))
          const token = `token-${index}`
          register = admitted(register, stamp, clockMs, token)
          if (outcome === 'unknown' || outcome === 'crash' || (settleLate && outcome === 'delivered')) maybe.push(place)
          if (outcome === 'crash') return
          const settle = () => {
            register = settled(register, stamp, outcome, token).register
            if (outcome === 'delivered') delivered = Math.max(delivered, place)
            // The content was judged: its earlier tries can't have been accepted either.
            if (outcome === 'refused') {
              maybe = maybe.filter((other) => other !== place)
            }
          }
          if (settleLate) late.push(settle)
          else settle()
          if (late.length > 2) late.shift()?.()
        })
      }),
      { numRuns: 2_000 },
    )
  })
})
