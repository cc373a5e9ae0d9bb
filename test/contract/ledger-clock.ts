/** What every ledger must answer when a clock is wrong: its own, a relay's or a source's. */

import { beforeEach, describe, expect, it } from 'vitest'
import type { Admission, AdmitRequest, Ledger } from '../../src/core/ledger/port.ts'
import type { Outcome } from '../../src/core/ledger/rules/register.ts'
import type { LedgerSettings } from '../../src/core/ledger/rules/settings.ts'
import type { Lane } from '../../src/core/update/update.ts'
import { at, contractSettings, type LedgerMaker } from './ledger.ts'

const startMs = 1_790_000_000_000
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
let serial = 0
const unique = () => (++serial).toString(16).padStart(24, '0')

export function ledgerClockContract(name: string, maker: LedgerMaker): void {
  describe(`clocks: ${name}`, () => {
    let nowMs = startMs
    let ledger: Ledger
    let visitor = ''
    const fresh = async (settings: Partial<LedgerSettings> = {}) => {
      nowMs = startMs
      visitor = unique()
      ledger = await maker.make({ ...contractSettings, ...settings }, { now: () => nowMs })
      await ledger.check()
    }
    beforeEach(() => fresh())
    const request = (stamp: string, more: Partial<AdmitRequest> = {}): AdmitRequest => ({
      visitorHash: visitor,
      attributes: [{ name: 'tier', stamp }],
      units: 1,
      token: unique(),
      ...more,
    })
    const admit = async (one: AdmitRequest, lane: Lane = 'live'): Promise<Admission> =>
      (await ledger.admit([one], lane))[0] as Admission
    const verdict = async (stamp: string, more: Partial<AdmitRequest> = {}) => {
      const answer = await admit(request(stamp, more))
      return answer.event === 'open' ? answer.verdicts[0] : answer.event
    }
    const settle = (sent: AdmitRequest, outcome: Outcome) =>
      ledger.settle([
        {
          visitorHash: sent.visitorHash,
          token: sent.token,
          attributes: sent.attributes.map((attribute) => ({ ...attribute, outcome })),
        },
      ])
    const used = async () => (await ledger.usage()).used
    const spend = (units: number, more: Partial<AdmitRequest> = {}) =>
      admit(request(at(nowMs - startMs), { units, visitorHash: unique(), ...more }))

    describe('stamps', () => {
      it('more than five minutes ahead wait until they are not, spend nothing and leave no register; the event is recorded', async () => {
        const event = unique()
        const ahead = at(5 * minuteMs + 1)
        expect(await admit(request(ahead, { event }))).toEqual({ event: 'open', verdicts: ['ahead'], attempts: 0 })
        expect(await verdict(ahead, { event })).toBe('in_flight')
        expect(await used()).toBe(0)
        expect(await verdict(at(0))).toBe('send')
        expect(await verdict(at(5 * minuteMs), { visitorHash: unique() })).toBe('send')
        nowMs += contractSettings.inFlightMs + 1
        expect(await admit(request(at(9), { event }))).toMatchObject({ verdicts: ['send'], firstStamp: ahead })
      })

      it('of a relay that is a day ahead supersede nobody (G3)', async () => {
        expect(await verdict(at(dayMs))).toBe('ahead')
        const honest = request(at(10))
        expect(await admit(honest)).toMatchObject({ verdicts: ['send'] })
        await settle(honest, 'delivered')
        expect(await verdict(at(20))).toBe('send')
      })

      it('that were delivered or superseded are still answered so', async () => {
        await settle(request(at(dayMs)), 'delivered')
        expect(await verdict(at(dayMs))).toBe('delivered')
        expect(await verdict(at(dayMs - 1))).toBe('superseded')
        expect(await verdict(at(dayMs + 1))).toBe('ahead')
      })

      it('ahead are answered so even if the update is to be held', async () => {
        expect(await verdict(at(dayMs), { hold: true })).toBe('ahead')
      })
    })

    describe('a jump', () => {
      it('ahead for a moment in which the ledger is read: spent units stay spent (G1)', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        await spend(10)
        const before = await ledger.usage()
        for (const jumpMs of [11_600, minuteMs, dayMs + hourMs, 30 * dayMs]) {
          nowMs += jumpMs
          expect(await used()).toBe(0)
          nowMs -= jumpMs
          expect(await ledger.usage()).toEqual(before)
        }
        expect(await spend(1)).toMatchObject({ verdicts: ['quota'] })
      })

      it('back by no more than five minutes: the ledger goes on in the same bucket', async () => {
        const { bucket } = (await spend(1)) as { bucket: number }
        nowMs -= 5 * minuteMs
        expect(await spend(1)).toMatchObject({ verdicts: ['send'], bucket })
      })

      it('back by more: nothing is sent until the clock is right again; outcomes are recorded, and usage shows the jump', async () => {
        const sent = request(at(0), { units: 7 })
        await admit(sent)
        nowMs -= 5 * minuteMs + 1
        await expect(spend(1)).rejects.toThrow('clock')
        expect((await ledger.summary()).clock).toEqual({ jumpedByMs: -5 * minuteMs - 1 })
        expect(await ledger.usage()).toMatchObject({ used: 7, clock: { jumpedByMs: -5 * minuteMs - 1 } })
        await settle(sent, 'delivered')
        expect(await ledger.visitor(visitor)).toEqual([{ name: 'tier', done: at(0) }])
        nowMs += 1
        expect(await spend(1)).toMatchObject({ verdicts: ['send'] })
        expect(await ledger.summary()).not.toHaveProperty('clock')
        expect(await verdict(at(0))).toBe('delivered')
      })

      it('confirmed: units dated in the future count as spent now, and it goes on once nothing is in flight', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        nowMs += dayMs
        await spend(6)
        nowMs -= dayMs - 50
        await expect(spend(1)).rejects.toThrow('clock')
        await ledger.confirmClock()
        expect((await ledger.usage()).clock).toEqual({ jumpedByMs: 0 })
        nowMs += contractSettings.longestInFlightMs
        await expect(spend(1)).rejects.toThrow('confirmed')
        nowMs += 1
        expect(await ledger.usage()).toMatchObject({ used: 6, buckets: [[startMs, 6]] })
        expect(await spend(5)).toMatchObject({ verdicts: ['quota'] })
        expect(await spend(4)).toMatchObject({ verdicts: ['send'] })
        nowMs = startMs + 100 + 11_500
        expect(await used()).toBe(4)
      })

      it('confirmed at a time that was wrong too: the right time can be confirmed after it', async () => {
        nowMs += dayMs
        await ledger.confirmClock()
        nowMs -= dayMs
        await expect(spend(1)).rejects.toThrow('clock')
        await ledger.confirmClock()
        nowMs += contractSettings.longestInFlightMs + 1
        expect(await spend(1)).toMatchObject({ verdicts: ['send'] })
      })

      it('confirmed although there was none: nothing changes but the short wait', async () => {
        await spend(5)
        const before = await ledger.usage()
        await ledger.confirmClock()
        nowMs += contractSettings.longestInFlightMs + 1
        expect(await ledger.usage()).toEqual(before)
      })

      it('back to a time whose units are forgotten already: what is not known counts as spent (G1)', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        await spend(7)
        nowMs += dayMs
        await spend(1)
        nowMs -= dayMs
        await ledger.confirmClock()
        nowMs += contractSettings.longestInFlightMs + 1
        expect(await spend(1)).toMatchObject({ verdicts: ['quota'] })
        expect(await used()).toBe(10)
        nowMs += 11_700
        expect(await spend(10)).toMatchObject({ verdicts: ['send'] })
      })

      it('a source’s units that were spent in the future count as spent now', async () => {
        await fresh({ replayReserve: 0.5 })
        const source = { name: 'desk', units: 10 }
        nowMs += dayMs
        await spend(10, { source })
        nowMs -= dayMs
        await ledger.confirmClock()
        nowMs += contractSettings.longestInFlightMs + 1
        // Above its share it may use a quarter of the quota, which others have spent.
        await spend(30)
        expect(await spend(1, { source })).toMatchObject({ verdicts: ['quota'] })
        nowMs += 11_600
        // Within its share it may use half of the quota.
        await spend(30)
        expect(await spend(10, { source })).toMatchObject({ verdicts: ['send'] })
      })

      it('an attempt, a lease and a breaker of that future block nobody for a day', async () => {
        nowMs += dayMs
        const ahead = request(at(0))
        await admit(ahead)
        expect(await ledger.lease('flush', 'gone', 90_000)).toBe(true)
        // Two that have nothing in common: the breaker holds back everybody.
        for (let denied = 0; denied < 2; denied++)
          await ledger.settle([{ visitorHash: unique(), token: unique(), attributes: [], signal: 'wrong' }])
        expect(await spend(1)).toMatchObject({ verdicts: ['shut'] })
        nowMs -= dayMs
        await ledger.confirmClock()
        nowMs += contractSettings.longestInFlightMs + 1
        expect(await ledger.lease('flush', 'here', 90_000)).toBe(true)
        expect(await admit(request(at(0)))).toMatchObject({ verdicts: ['send'], probe: 'misconfigured' })
      })

      it('an erasure waits while the clock is off, since by it older updates would count as new', async () => {
        await spend(1)
        nowMs -= hourMs
        expect(await ledger.erase(visitor)).toBe(false)
        nowMs += hourMs
        expect(await verdict(at(0))).toBe('send')
        expect(await ledger.erase(visitor)).toBe(true)
        expect(await verdict(at(0))).toBe('erased')
      })

      it('after an erasure in that future, what came since then waits and is not taken for older', async () => {
        nowMs += hourMs
        await ledger.erase(visitor)
        nowMs -= hourMs
        expect(await verdict(at(0))).toBe('ahead')
        nowMs += hourMs
        expect(await verdict(at(0))).toBe('erased')
        expect(await verdict(at(hourMs + 1))).toBe('send')
      })
    })

    describe('leads of sources', () => {
      it('keeps the largest of about the last day for each', async () => {
        const leads = async () => (await ledger.summary()).leads
        expect(await leads()).toEqual({})
        await ledger.settle([], {}, { desk: 3_000, till: 2_500 })
        await ledger.settle([], {}, { desk: 2_100 })
        await ledger.settle([], {})
        expect(await leads()).toEqual({ desk: 3_000, till: 2_500 })
        nowMs += hourMs
        await ledger.settle([], {}, { desk: 61_000 })
        expect(await leads()).toEqual({ desk: 61_000, till: 2_500 })
        nowMs += dayMs - hourMs
        expect(await leads()).toEqual({ desk: 61_000, till: 2_500 })
        nowMs += 1
        expect((await ledger.usage()).leads).toEqual({ desk: 61_000 })
        nowMs += hourMs
        await ledger.settle([], {}, { desk: 2_000 })
        expect(await leads()).toEqual({ desk: 2_000 })
      })

      it.each(['__proto__', 'constructor'])('treats %s as a name like any other', async (odd) => {
        await ledger.settle([], {}, Object.fromEntries([[odd, 2_500]]))
        expect(Object.entries((await ledger.summary()).leads)).toEqual([[odd, 2_500]])
      })
    })

    it('a summary is the usage without its lists', async () => {
      await spend(5)
      await ledger.settle([], { 'desk/live/calls': 1 }, { desk: 3_000 })
      await ledger.pause(true)
      const { buckets, counters, totals, nextFreeAtMs, ...rest } = await ledger.usage()
      expect(totals).toEqual({ 'desk/live': { calls: 1 } })
      expect([buckets, counters, nextFreeAtMs]).toEqual([[[startMs, 5]], { calls: 1 }, startMs + 11_600])
      expect(await ledger.summary()).toEqual(rest)
      expect(rest).toMatchObject({
        limit: 100,
        used: 5,
        remaining: 95,
        health: { paused: true },
        leads: { desk: 3_000 },
      })
    })
  })
}
