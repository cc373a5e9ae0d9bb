/** The judge itself: it accepts a good record and finds each broken guarantee in made-up ones. */
import { describe, expect, it } from 'vitest'
import { type Evidence, type GoneFile, type Held, isBroken, judge } from './judge.ts'
import type { SentEvent } from './senders.ts'

const nothing: Held = { values: new Set(), waiting: [], dead: {} }
const key = '3p:anna attribute1'
const event = (rank: number, more: Partial<SentEvent> = {}): SentEvent => ({
  key,
  rank,
  begunOf: 1,
  acknowledgedOf: 2,
  toldAs: 'deferred',
  ...more,
})
const take = (value: string, atMs: number, name = 'attribute1') => ({
  visitor: '3p:anna',
  pairs: [[name, value]] as const,
  atMs,
})

/** An older and a newer value: the older one was superseded, the newer one delivered. */
const good: Evidence = {
  events: new Map([
    ['old', event(1, { toldAs: 'superseded' })],
    ['new', event(2, { toldAs: 'submitted', repeatedMs: 1_500 })],
    ['unheard', { key: '3p:bert attribute1', rank: 5, begunOf: 3 }],
  ]),
  record: { arrivals: [1_000], taken: [take('new', 1_000)] },
  held: [nothing],
  windowMs: 1_000,
  quotaLimit: 2,
}
const fileWith = (value: string, of: number): GoneFile => ({ held: { ...nothing, values: new Set([value]) }, of })
const lostOf = (more: Partial<SentEvent>, gone: readonly GoneFile[]) => {
  const events = new Map([...good.events, ['value', event(1, { key: '3p:carl attribute1', ...more })]])
  const { lost, gone: wentAlong } = judge({ ...good, events, gone })
  return { lost, gone: wentAlong }
}

describe('the judge', () => {
  it('finds nothing in a good record', () => {
    const verdict = judge(good)
    expect(verdict).toEqual({
      ...{ calls: 1, mostInWindow: 1, windowsOver: 0, stale: 0, sentAgain: 0, lost: 0, strange: 0, gone: 0 },
      ...{ leftInBacklog: 0, deadLetters: {} },
    })
    expect(isBroken(verdict, 2)).toBe(false)
    expect(isBroken(verdict, 0)).toBe(true)
  })

  it.each<readonly [string, Partial<Evidence>, object]>([
    [
      'a window over the quota (G1)',
      { record: { ...good.record, arrivals: [1, 500, 1_000] } },
      { windowsOver: 1, mostInWindow: 3 },
    ],
    [
      'an acknowledged value that is nowhere (G2)',
      { events: new Map([...good.events, ['third', event(1, { key: '3p:carl attribute1' })]]) },
      { lost: 1 },
    ],
    [
      'an older value over a newer one (G3)',
      { record: { arrivals: [1], taken: [take('new', 1), take('old', 2)] } },
      { stale: 1 },
    ],
    [
      'a settled event that is sent again (G4)',
      { record: { arrivals: [1], taken: [take('new', 1), take('new', 1_501)] } },
      { sentAgain: 1 },
    ],
    ['a value that nobody sent', { record: { arrivals: [1], taken: [take('new', 1), take('ne', 2)] } }, { strange: 1 }],
    [
      'a value under another name',
      { record: { arrivals: [1], taken: [take('new', 1), take('new', 2, 'attribute2')] } },
      { strange: 1 },
    ],
    ['an entry that never goes', { held: [nothing, { ...nothing, waiting: [['unheard']] }] }, { leftInBacklog: 1 }],
  ])('finds %s', (_, more, found) => {
    const verdict = judge({ ...good, ...more })
    expect(verdict).toMatchObject(found)
    expect(isBroken(verdict, 2)).toBe(true)
  })

  it('an entry may only wait for a newer value if nobody can know whether that one arrived', () => {
    const arrived = [...good.record.taken, take('newer', 1)]
    const leftOf = (
      newer: Partial<SentEvent>,
      waiting: string[][],
      taken = good.record.taken,
      kept: { dead?: string; gone?: readonly GoneFile[] } = {},
    ) => {
      const events = new Map([
        ...good.events,
        ['waits', event(1, { key: 'k' })],
        ['newer', { key: 'k', rank: 2, begunOf: 3, ...newer }],
      ])
      const held = [{ ...nothing, waiting, values: new Set([...waiting.flat(), kept.dead ?? 'none']) }]
      return judge({ ...good, events, record: { ...good.record, taken }, held, gone: kept.gone ?? [] }).leftInBacklog
    }
    expect(leftOf({}, [['waits']])).toBe(0)
    expect(leftOf({ rank: 0 }, [['waits']])).toBe(1)
    expect(leftOf({}, [['waits'], ['newer']])).toBe(2)
    expect(leftOf({ acknowledgedOf: 4, toldAs: 'deferred' }, [['waits']], arrived)).toBe(1)
    // Its process may have died between answer and settle; once a repeat was answered `duplicate`, it was settled.
    expect(leftOf({ acknowledgedOf: 4, toldAs: 'submitted' }, [['waits']], arrived)).toBe(0)
    expect(leftOf({ acknowledgedOf: 4, toldAs: 'submitted', repeatedMs: 5 }, [['waits']], arrived)).toBe(1)
    // Target has it, but what the relay knew of that was lost with its ledger or its file.
    expect(leftOf({ acknowledgedOf: 4, toldAs: 'deferred' }, [['waits']], arrived, { dead: 'newer' })).toBe(0)
    expect(
      leftOf({ acknowledgedOf: 4, toldAs: 'deferred' }, [['waits']], arrived, { gone: [fileWith('newer', 7)] }),
    ).toBe(0)
    expect(
      leftOf({ acknowledgedOf: 4, toldAs: 'deferred' }, [['waits']], arrived, { gone: [fileWith('another', 7)] }),
    ).toBe(1)
    expect(leftOf({}, [['waits', 'unheard']])).toBe(1)
  })

  it('a window excludes its beginning', () => {
    expect(judge({ ...good, record: { ...good.record, arrivals: [1, 500, 1_001] } })).toMatchObject({
      windowsOver: 0,
      mostInWindow: 2,
    })
  })

  it('a value that is kept, or sent again before its repeat was answered, breaks no guarantee', () => {
    const events = new Map([...good.events, ['third', event(1, { key: '3p:carl attribute1' })]])
    const held = [{ ...nothing, values: new Set(['third']), dead: { ledger_lost: 1 } }]
    expect(judge({ ...good, events, held })).toMatchObject({ lost: 0, deadLetters: { ledger_lost: 1 } })
    expect(judge({ ...good, record: { arrivals: [1], taken: [take('new', 1), take('new', 1_499)] } })).toMatchObject({
      sentAgain: 0,
    })
  })

  it('a value acknowledged before its file was taken away is gone, one acknowledged later is lost', () => {
    expect(lostOf({ acknowledgedOf: 6 }, [fileWith('value', 7)])).toEqual({ lost: 0, gone: 1 })
    expect(lostOf({ acknowledgedOf: 8 }, [fileWith('value', 7)])).toEqual({ lost: 1, gone: 0 })
    expect(lostOf({ acknowledgedOf: 6 }, [fileWith('another', 7)])).toEqual({ lost: 1, gone: 0 })
    // The answer refers to an earlier try, which the file held.
    expect(lostOf({ begunOf: 5, acknowledgedOf: 8, toldAs: 'duplicate' }, [fileWith('value', 7)])).toEqual({
      lost: 0,
      gone: 1,
    })
  })
})
