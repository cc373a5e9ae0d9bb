/** The rules of docs/rules.md on plain data, line by line, and the guarantees they are made for (G3, G4). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jumpToleranceMs } from '../../../../src/core/ledger/rules/clock-watch.ts'
import { type EventRecord, firstStampOf, judgeEvent } from '../../../../src/core/ledger/rules/event.ts'
import type { Outcome } from '../../../../src/core/ledger/rules/register.ts'
import {
  admitted,
  counts,
  isOver,
  judge,
  maxBelow,
  movedIn,
  type OpenAttempt,
  openStamps,
  type Register,
  registerLifeMs,
  registerLivesUntilMs,
  settled,
} from '../../../../src/core/ledger/rules/register.ts'
import type { LedgerSettings } from '../../../../src/core/ledger/rules/settings.ts'
import { futureToleranceMs, makeStamp } from '../../../../src/core/update/stamp.ts'

const nowMs = 1_790_000_000_000
const settings: LedgerSettings = {
  quotaLimit: 100,
  quotaWindowMs: 10_000,
  quotaBucketMs: 100,
  quotaSlackMs: 1_500,
  replayReserve: 0.1,
  pace: 'none',
  retentionMs: 3_600_000,
  inFlightMs: 10_000,
  longestInFlightMs: 10_300,
}
const at = (ms: number) => makeStamp(nowMs + ms, nowMs + ms, '0123456789abcdef')
const open = (stamp: string, ageMs: number, more: Partial<OpenAttempt> = {}): OpenAttempt => ({
  stamp,
  atMs: nowMs - ageMs,
  token: 'token',
  ...more,
})
const inFlightMs = settings.inFlightMs
const aged = inFlightMs + 1
const event = 'e'.repeat(32)
const attempt = { atMs: nowMs, lifeMs: inFlightMs, token: 'new', bucket: nowMs + 99 }

describe('admit: the first rule that applies', () => {
  const due = { attempts: 1, notBeforeMs: nowMs }
  const notDue = { attempts: 1, notBeforeMs: nowMs + 1 }
  it.each<[string, Register | undefined, string, ReturnType<typeof judge>]>([
    ['nothing known', undefined, at(0), 'send'],
    ['an empty register', {}, at(0), 'send'],
    ['just within the retention', {}, at(-settings.retentionMs), 'send'],
    ['beyond the retention', {}, at(-settings.retentionMs - 1), 'expired'],
    ['beyond the retention, delivered long ago', { done: at(0) }, at(-settings.retentionMs - 1), 'expired'],
    ['beyond the retention, a newer one open', { open: open(at(0), aged) }, at(-settings.retentionMs - 1), 'overtaken'],
    [
      'beyond the retention, itself open',
      { open: open(at(-settings.retentionMs - 1), aged) },
      at(-settings.retentionMs - 1),
      'expired',
    ],
    ['delivered', { done: at(0) }, at(0), 'delivered'],
    ['delivered, and a newer one open', { done: at(0), open: open(at(5), 0) }, at(0), 'delivered'],
    ['a newer one delivered', { done: at(1) }, at(0), 'superseded'],
    ['an older one delivered', { done: at(-1) }, at(0), 'send'],
    ['a newer one open', { open: open(at(1), 0) }, at(0), 'waits'],
    ['a newer one open, however old its attempt', { open: open(at(1), nowMs) }, at(0), 'waits'],
    ['itself open and in flight', { open: open(at(0), inFlightMs) }, at(0), 'contended'],
    ['an older one open and in flight', { open: open(at(-1), inFlightMs) }, at(0), 'contended'],
    [
      'in flight by its own time-outs, which are longer',
      { open: open(at(0), aged, { lifeMs: aged }) },
      at(0),
      'contended',
    ],
    [
      'aged by its own time-outs, which are shorter',
      { open: open(at(0), inFlightMs, { lifeMs: inFlightMs - 1 }) },
      at(0),
      'send',
    ],
    ['admitted in a future that a clock stepping back left', { open: open(at(0), -5_000) }, at(0), 'contended'],
    ['itself open and aged', { open: open(at(0), aged) }, at(0), 'send'],
    ['an older one open and aged', { open: open(at(-1), aged) }, at(0), 'send'],
  ])('%s', (_, register, stamp, verdict) => {
    expect(judge(register, stamp, nowMs, { lane: 'live' }, settings)).toBe(verdict)
  })

  it('what arrived before its visitor was erased is dropped, what arrives after is sent', () => {
    const surroundings = { lane: 'live', erasedMs: nowMs } as const
    const arrived = (ms: number) => makeStamp(nowMs - 5_000, nowMs + ms, '0123456789abcdef')
    expect([-1, 0, 1].map((ms) => judge({}, arrived(ms), nowMs, surroundings, settings))).toEqual([
      'erased',
      'erased',
      'send',
    ])
    expect(judge({}, makeStamp(nowMs, nowMs - 1, 'a'.repeat(16)), nowMs, surroundings, settings)).toBe('erased')
  })

  it('a stamp further ahead than a clock may run waits until it is not', () => {
    const surroundings = { lane: 'live', lostMs: nowMs + futureToleranceMs + 1 } as const
    const verdicts = [0, 1].map((ms) => judge({}, at(futureToleranceMs + ms), nowMs, surroundings, settings))
    expect(verdicts).toEqual(['lost', 'ahead'])
    expect(judge({ done: at(futureToleranceMs + 1) }, at(futureToleranceMs + 1), nowMs, surroundings, settings)).toBe(
      'delivered',
    )
  })

  it('after an erasure by a clock that was ahead, what arrived since can’t be told from what was before, and waits', () => {
    const verdicts = [0, 1].map((ms) =>
      judge({}, at(0), nowMs, { lane: 'live', erasedMs: nowMs + jumpToleranceMs + ms }, settings),
    )
    expect(verdicts).toEqual(['erased', 'ahead'])
  })

  it('an attempt dated in a future that the clock has left is no longer in flight', () => {
    const verdicts = [0, 1].map((ms) =>
      judge({ open: open(at(0), -jumpToleranceMs - ms) }, at(0), nowMs, { lane: 'live' }, settings),
    )
    expect(verdicts).toEqual(['contended', 'send'])
    const events = [0, 1].map(
      (ms) =>
        judgeEvent(
          { stamp: at(0), atMs: nowMs + jumpToleranceMs + ms, done: false },
          { event, stamp: at(0) },
          nowMs,
          settings,
        ).kind,
    )
    expect(events).toEqual(['in_flight', 'open'])
  })

  it('the order of what is no newer than a loss of the ledger is unknown', () => {
    const surroundings = { lane: 'live', lostMs: nowMs } as const
    expect([-1, 0, 1].map((ms) => judge({}, at(ms), nowMs, surroundings, settings))).toEqual(['lost', 'lost', 'send'])
    expect(judge({ done: at(0) }, at(0), nowMs, surroundings, settings)).toBe('delivered')
    expect(judge({ open: open(at(5), 0) }, at(0), nowMs, surroundings, settings)).toBe('lost')
    expect(judge({}, at(0), nowMs, { ...surroundings, erasedMs: nowMs }, settings)).toBe('erased')
  })

  it('a visitor that never failed is replayed at once', () => {
    expect(judge({}, at(0), nowMs, { lane: 'replay' }, settings)).toBe('send')
  })

  it('a backoff that is not due holds back replay and no other lane', () => {
    const verdicts = (backoff: typeof due) =>
      (['high', 'live', 'replay', 'bulk'] as const).map((lane) => judge({}, at(0), nowMs, { lane, backoff }, settings))
    expect(verdicts(notDue)).toEqual(['send', 'send', 'backoff', 'send'])
    expect(verdicts(due)).toEqual(['send', 'send', 'send', 'send'])
  })

  it('a backoff is only the reason if there is no other', () => {
    expect(judge({ done: at(0) }, at(0), nowMs, { lane: 'replay', backoff: notDue }, settings)).toBe('delivered')
    expect(judge({ open: open(at(1), aged) }, at(0), nowMs, { lane: 'replay', backoff: notDue }, settings)).toBe(
      'waits',
    )
    expect(judge({ open: open(at(0), inFlightMs) }, at(0), nowMs, { lane: 'replay', backoff: notDue }, settings)).toBe(
      'contended',
    )
  })
})

describe('admit: what the register becomes', () => {
  it.each<[string, Register | undefined, Register]>([
    ['nothing known', undefined, { open: { stamp: at(10), ...attempt } }],
    ['an older one delivered', { done: at(5) }, { done: at(5), open: { stamp: at(10), ...attempt } }],
    ['an older one open', { open: open(at(5), aged) }, { open: { stamp: at(10), ...attempt, below: [at(5)] } }],
    [
      'an older one open, newer than what was delivered',
      { done: at(1), open: open(at(5), aged) },
      { done: at(1), open: { stamp: at(10), ...attempt, below: [at(5)] } },
    ],
    [
      'an open one older than what was delivered: it is not to be reopened',
      { done: at(5), open: open(at(5), aged) },
      { done: at(5), open: { stamp: at(10), ...attempt } },
    ],
    ['itself open', { open: open(at(10), aged) }, { open: { stamp: at(10), ...attempt, again: true } }],
    [
      'itself open above another: what is below stays',
      { open: open(at(10), aged, { below: [at(5)] }) },
      { open: { stamp: at(10), ...attempt, again: true, below: [at(5)] } },
    ],
    [
      'an older one open above another: both stay',
      { open: open(at(5), aged, { below: [at(2)] }) },
      { open: { stamp: at(10), ...attempt, below: [at(5), at(2)] } },
    ],
    [
      'too many below: the oldest kept one stands for the rest, and is kept twice',
      { open: open(at(9), aged, { below: [8, 7, 6, 5, 4, 3, 2, 1].map((ms) => at(ms)) }) },
      { open: { stamp: at(10), ...attempt, below: [9, 8, 7, 6, 5, 4, 3, 3].map((ms) => at(ms)) } },
    ],
  ])('%s', (_, before, after) => {
    expect(admitted(before, at(10), attempt)).toStrictEqual(after)
  })

  it.each([maxBelow - 1, maxBelow])('up to the maximum, those below (%i) are all kept as they are', (count) => {
    const below = Array.from({ length: count }, (_, index) => at(-index))
    const [newest = '', ...older] = below
    expect(admitted({ open: open(newest, aged, { below: older }) }, at(10), attempt).open?.below).toEqual(below)
  })

  it('does not change its arguments', () => {
    const before: Register = Object.freeze({ done: at(1), open: Object.freeze(open(at(5), aged)) })
    admitted(before, at(10), attempt)
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
    expect(settled(before, at(10), outcome, 'token')).toStrictEqual({ register, closed })
  })

  it.each(['unsent', 'refused'] as const)('%s with nothing before it leaves nothing open', (outcome) => {
    expect(settled({ open: open(at(10), 0) }, at(10), outcome, 'token')).toStrictEqual({ register: {}, closed: true })
  })

  it.each<[Outcome, Register]>([
    ['delivered', { ...before, done: at(10) }],
    ['unsent', before],
    ['refused', before],
    ['unknown', before],
  ])('%s of another attempt only changes what was delivered', (outcome, register) => {
    expect(settled(before, at(10), outcome, 'another token')).toEqual({ register, closed: false })
  })

  it('an attempt without an owner is not closed by a settlement without a token', () => {
    const aged: Register = { open: nobodys(at(5)) }
    expect(settled(aged, at(5), 'unsent', '')).toEqual({ register: aged, closed: false })
  })

  it('done never moves back', () => {
    expect(settled({ done: at(20) }, at(10), 'delivered', 'token').register).toEqual({ done: at(20) })
    expect(settled({ done: at(5) }, at(10), 'delivered', 'token').register).toEqual({ done: at(10) })
  })

  it('records what it can in an unknown register', () => {
    expect(settled(undefined, at(10), 'delivered', 'token')).toEqual({ register: { done: at(10) }, closed: false })
    expect(settled(undefined, at(10), 'unsent', 'token')).toEqual({ register: {}, closed: false })
  })
})

describe('a register imported from another ledger', () => {
  const nobodys = (stamp: string) => ({ stamp, atMs: 0, token: '' })
  const known: Register = { done: at(1), open: open(at(10), 0, { below: [at(5)] }) }
  it.each<[string, Register | undefined, Parameters<typeof movedIn>[1], Register]>([
    ['nothing, if nothing is known', undefined, { open: [] }, {}],
    ['a delivery, if nothing is known', undefined, { done: at(3), open: [] }, { done: at(3) }],
    [
      'what was open has no owner here',
      undefined,
      { open: [at(9), at(7)] },
      { open: { ...nobodys(at(9)), below: [at(7)] } },
    ],
    ['an empty import changes nothing', known, { open: [] }, known],
    ['an older delivery changes nothing', known, { done: at(0), open: [] }, known],
    ['the same delivery again changes nothing', { done: at(1) }, { done: at(1), open: [] }, { done: at(1) }],
    ['a newer delivery closes what is older', known, { done: at(7), open: [] }, { done: at(7), open: open(at(10), 0) }],
    ['a delivery of the open stamp closes it', known, { done: at(10), open: [] }, { done: at(10) }],
    ['a delivery newer than all leaves nothing open', known, { done: at(20), open: [at(15)] }, { done: at(20) }],
    [
      'a newer open one goes above, and ours waits below',
      known,
      { open: [at(12)] },
      { done: at(1), open: { ...nobodys(at(12)), below: [at(10), at(5)] } },
    ],
    [
      'an older open one goes between',
      known,
      { open: [at(7)] },
      { done: at(1), open: open(at(10), 0, { below: [at(7), at(5)] }) },
    ],
    [
      'what was open on both sides is ours, and may have been applied twice',
      { open: open(at(5), 0) },
      { open: [at(5)] },
      { open: open(at(5), 0, { below: [at(5)] }) },
    ],
    [
      'an open one older than what is delivered here is not reopened',
      { done: at(8) },
      { open: [at(8), at(3)] },
      { done: at(8) },
    ],
  ])('%s', (_, before, moved, after) => {
    expect(movedIn(before, moved)).toStrictEqual(after)
  })

  it('whichever side is imported, the same stamps are delivered and open', () => {
    const places = fc.integer({ min: 0, max: 20 })
    const sides = fc
      .record({ done: fc.option(places, { nil: undefined }), open: fc.uniqueArray(places, { maxLength: 3 }) })
      .map(({ done, open: some }) => ({
        ...(done === undefined ? {} : { done: at(done) }),
        open: some
          .filter((place) => done === undefined || place > done)
          .sort((a, b) => b - a)
          .map((place) => at(place)),
      }))
    fc.assert(
      fc.property(sides, sides, (one, other) => {
        const [a, b] = [movedIn(movedIn(undefined, one), other), movedIn(movedIn(undefined, other), one)]
        expect([a.done, openStamps(a)]).toEqual([b.done, openStamps(b)])
        const stamps = openStamps(a)
        expect(stamps).toEqual([...stamps].sort().reverse())
        for (const stamp of [...one.open, ...other.open])
          expect(stamps.includes(stamp)).toBe(a.done === undefined || stamp > a.done)
      }),
    )
  })

  it('does not change its arguments', () => {
    const before: Register = Object.freeze({ open: Object.freeze(open(at(5), 0, { below: Object.freeze([at(2)]) })) })
    movedIn(before, { open: [at(7)] })
    expect(before).toEqual({ open: open(at(5), 0, { below: [at(2)] }) })
  })
})

describe('the open stamps of a register', () => {
  it.each<[string, Register, readonly string[]]>([
    ['none', { done: at(1) }, []],
    ['one', { open: open(at(5), 0) }, [at(5)]],
    ['the newest first', { open: open(at(5), 0, { below: [at(3), at(2)] }) }, [at(5), at(3), at(2)]],
  ])('%s', (_, register, stamps) => {
    expect(openStamps(register)).toEqual(stamps)
  })
})

describe('event ids (G4)', () => {
  const seen = (ageMs: number, done = false): EventRecord => ({ stamp: at(-50), atMs: nowMs - ageMs, done })
  const other = (more: Partial<EventRecord>): EventRecord => ({
    ...seen(0),
    stamp: makeStamp(nowMs - 50, nowMs - 50, 'b'.repeat(14)),
    ...more,
  })
  it.each<[string, EventRecord | undefined, ReturnType<typeof judgeEvent>]>([
    ['not seen', undefined, { kind: 'open', record: { stamp: at(0), atMs: nowMs, done: false } }],
    ['done', seen(0, true), { kind: 'duplicate' }],
    ['done long ago', seen(nowMs, true), { kind: 'duplicate' }],
    ['in flight', seen(inFlightMs), { kind: 'in_flight' }],
    ['refused by Target', { ...seen(0, true), rejected: true }, { kind: 'rejected' }],
    ['other content, in flight', other({}), { kind: 'id_reused' }],
    ['other content, done', other({ done: true }), { kind: 'id_reused' }],
    [
      'other content than Target refused: it is tried',
      other({ done: true, rejected: true }),
      { kind: 'open', record: { stamp: at(0), atMs: nowMs, done: false } },
    ],
    [
      'done, written by an older version: its stamp ends with the event’s key',
      { ...seen(0, true), stamp: makeStamp(nowMs, nowMs, event) },
      { kind: 'duplicate' },
    ],
    [
      'aged: again, under the first stamp',
      seen(aged),
      { kind: 'open', record: { stamp: at(-50), atMs: nowMs, done: false } },
    ],
  ])('%s', (_, record, verdict) => {
    expect(judgeEvent(record, { event, stamp: at(0) }, nowMs, settings)).toEqual(verdict)
  })

  const record = { stamp: at(0), atMs: nowMs, done: false }
  it.each<[string, EventRecord | undefined, ReturnType<typeof firstStampOf>]>([
    ['not seen: recorded', undefined, { stamp: at(0), record }],
    ['seen', seen(aged), { stamp: at(-50) }],
    ['refused by Target', { ...seen(0, true), rejected: true }, { stamp: at(-50) }],
    ['other content', other({ done: true }), undefined],
    [
      'other content than Target refused: recorded again',
      other({ done: true, rejected: true }),
      { stamp: at(0), record },
    ],
    [
      'written by an older version',
      { ...record, stamp: makeStamp(nowMs, nowMs, event) },
      { stamp: makeStamp(nowMs, nowMs, event) },
    ],
    ['settled, and never admitted', { ...record, stamp: '', done: true }, { stamp: '' }],
  ])('first stamp: %s', (_, record, first) => {
    expect(firstStampOf(record, { event, stamp: at(0) }, nowMs)).toEqual(first)
  })
})

describe('lifetime', () => {
  const lifeMs = settings.retentionMs + settings.quotaSlackMs + settings.inFlightMs
  it('counts from now for a stamp in the past, and from the stamp for one in the future, which would otherwise outlive it', () => {
    expect(registerLivesUntilMs(at(-1_000), nowMs, settings)).toBe(nowMs + lifeMs)
    expect(registerLivesUntilMs(at(1_000), nowMs, settings)).toBe(nowMs + 1_000 + lifeMs)
  })
})

describe('a register ends', () => {
  const lifeMs = registerLifeMs(settings)
  const old = (lives: number, ms = 0) => at(-lives * lifeMs + ms)
  it.each<[string, Register, boolean, boolean]>([
    ['nothing known', {}, false, true],
    ['two lives old: it still tells overtaken from expired', { done: old(2) }, true, false],
    ['older than two lives: as if it did not exist', { done: old(2, -1) }, false, false],
    ['three lives old: still kept, in case a clock was ahead', { done: old(3) }, false, false],
    ['older than three lives: to be removed', { done: old(3, -1) }, false, true],
    ['old, with something newer open', { done: old(9), open: open(at(0), 0) }, true, false],
    ['old, with something newer delivered', { done: at(0), open: open(old(9), 0) }, true, false],
  ])('%s', (_, register, counted, over) => {
    expect([counts(register, nowMs, settings), isOver(register, nowMs, settings)]).toEqual([counted, over])
  })

  it('after the retention, the slack and the longest time in flight', () => {
    expect(lifeMs).toBe(settings.retentionMs + settings.quotaSlackMs + settings.inFlightMs)
  })
})

describe('newest wins (G3), whatever the order of tries, outcomes, crashes and late settles', () => {
  type Step = { readonly stamp: number; readonly outcome: Outcome | 'crash'; readonly settleLate: boolean }
  const step: fc.Arbitrary<Step> = fc.record({
    stamp: fc.integer({ min: 0, max: 5 }),
    outcome: fc.constantFrom('delivered', 'unsent', 'refused', 'unknown', 'crash'),
    settleLate: fc.boolean(),
  })

  it('no value is sent that is older than one that was or may have been delivered', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        let register: Register | undefined
        let clockMs = nowMs
        /** The newest value that the ledger knows to be delivered, and all that may have been applied. */
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
          register = admitted(register, stamp, { ...attempt, atMs: clockMs, token })
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
