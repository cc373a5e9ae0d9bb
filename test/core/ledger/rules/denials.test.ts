/** When denials of one visitor's update are a verdict: enough of them, over enough time, while others are delivered (G7). */
import { describe, expect, it } from 'vitest'
import { afterTry, isLastTry, type Tried } from '../../../../src/core/ledger/rules/denials.ts'
import { type Health, healthy } from '../../../../src/core/ledger/rules/health.ts'

const nowMs = 1_790_000_000_000
const limits = { denialsThatJudge: 3, denialsLastMs: 60_000 }
const denied: Tried = { signal: 'wrong', visitorHash: 'v', judged: false }
/** Another visitor was delivered since this one was last denied. */
const delivered: Health = { ...healthy, denied: ['another'] }
const breaker = { cause: 'unavailable', sinceMs: nowMs, untilMs: nowMs, probes: 0, traits: [] } as const

describe('counting', () => {
  it('begins with the first denial, and keeps when that was', () => {
    const first = afterTry(undefined, denied, delivered, nowMs)
    expect(first).toEqual({ count: 1, sinceMs: nowMs })
    expect(afterTry(first, denied, delivered, nowMs + 5)).toEqual({ count: 2, sinceMs: nowMs })
  })

  it('stops while nobody is delivered', () => {
    const one = { count: 1, sinceMs: nowMs }
    expect(afterTry(one, denied, { ...delivered, denied: ['v'] }, nowMs)).toEqual(one)
    expect(afterTry(one, denied, { ...delivered, breaker }, nowMs)).toEqual(one)
    expect(afterTry(undefined, denied, { ...delivered, breaker }, nowMs)).toBeUndefined()
  })

  it.each<Tried['signal']>(['up', 'refused', 'down'])('ends with any other answer: %s', (signal) => {
    expect(afterTry({ count: 2, sinceMs: nowMs }, { ...denied, signal }, delivered, nowMs)).toBeUndefined()
  })

  it('ends with a verdict', () => {
    expect(afterTry({ count: 2, sinceMs: nowMs }, { ...denied, judged: true }, delivered, nowMs)).toBeUndefined()
  })
})

describe('the last try', () => {
  const last = (count: number, agoMs: number, health: Health = delivered) =>
    isLastTry({ count, sinceMs: nowMs - agoMs }, health, 'v', nowMs, limits)

  it('is the one that reaches the number, long enough after the first', () => {
    expect(isLastTry(undefined, delivered, 'v', nowMs, { denialsThatJudge: 0, denialsLastMs: 0 })).toBe(false)
    expect([last(1, 60_000), last(2, 59_999), last(2, 60_000), last(9, 60_000)]).toEqual([false, false, true, true])
  })

  it('never comes while nobody is delivered', () => {
    expect([last(2, 60_000, { ...delivered, denied: ['v'] }), last(2, 60_000, { ...delivered, breaker })]).toEqual([
      false,
      false,
    ])
  })
})
