/** What every ledger must answer, rule by rule of PROTOCOL.md. Run against each implementation. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type Admission,
  type AdmitRequest,
  type Ledger,
  type LedgerSettings,
  maxBatch,
  type Outcome,
  type Settlement,
} from '../../src/core/ledger/port.ts'
import { makeStamp } from '../../src/core/stamp.ts'
import type { Lane } from '../../src/core/update.ts'

export interface LedgerMaker {
  make(settings: LedgerSettings, clock: { now: () => number }): Promise<Ledger>
  dispose?(): Promise<void>
}

export const contractSettings: LedgerSettings = {
  quotaLimit: 100,
  quotaWindowMs: 10_000,
  quotaBucketMs: 100,
  quotaSlackMs: 1_500,
  replayReserve: 0.1,
  retentionMs: 72 * 3_600_000,
  youngMs: 10_000,
}
const startMs = 1_790_000_000_000
let serial = 0
const unique = () => (++serial).toString(16).padStart(24, '0')
/** A stamp `ms` after the start of the test. */
export const at = (ms: number, id = '0') => makeStamp(startMs + ms, startMs + ms, id.padStart(16, '0'))

export function ledgerContract(name: string, maker: LedgerMaker): void {
  describe(`ledger contract: ${name}`, () => {
    let nowMs = startMs
    let ledger: Ledger
    let visitor = ''
    const clock = { now: () => nowMs }
    const fresh = async (settings: Partial<LedgerSettings> = {}) => {
      nowMs = startMs
      visitor = unique()
      ledger = await maker.make({ ...contractSettings, ...settings }, clock)
    }
    beforeEach(() => fresh())
    afterAll(async () => maker.dispose?.())

    const request = (stamp: string, more: Partial<AdmitRequest> = {}): AdmitRequest => ({
      visitorHash: visitor,
      attributes: [{ name: 'tier', stamp }],
      units: 1,
      token: unique(),
      ...more,
    })
    const admit = async (one: AdmitRequest, lane: Lane = 'live'): Promise<Admission> => {
      const [answer] = await ledger.admit([one], lane)
      if (answer === undefined) throw new Error('no answer')
      return answer
    }
    const verdict = async (stamp: string, lane: Lane = 'live') => {
      const answer = await admit(request(stamp), lane)
      return answer.event === 'open' ? answer.verdicts[0] : answer.event
    }
    const settle = (sent: AdmitRequest, outcome: Outcome, more: Partial<Settlement> = {}) =>
      ledger.settle([
        {
          visitorHash: sent.visitorHash,
          token: sent.token,
          attributes: sent.attributes.map((attribute) => ({ ...attribute, outcome })),
          ...more,
        },
      ])
    const sent = async (stamp: string, more: Partial<AdmitRequest> = {}) => {
      const one = request(stamp, more)
      expect(await admit(one)).toMatchObject({ event: 'open', verdicts: one.attributes.map(() => 'send') })
      return one
    }
    const used = async () => (await ledger.usage()).used
    const aged = () => {
      nowMs += contractSettings.youngMs + 1
    }

    describe('the register (G3)', () => {
      it('sends what is new, and then knows it delivered', async () => {
        await settle(await sent(at(0)), 'delivered')
        expect(await verdict(at(0))).toBe('delivered')
        expect(await verdict(at(-1))).toBe('superseded')
        expect(await verdict(at(1))).toBe('send')
      })

      it('an update is superseded only by a newer one: another of the very same time is not', async () => {
        await settle(await sent(at(0, 'a')), 'delivered')
        expect(await verdict(at(0, 'b'))).toBe('send')
      })

      it('while an attempt is young, newer ones are contended and older ones wait', async () => {
        await sent(at(10))
        expect(await verdict(at(20))).toBe('contended')
        expect(await verdict(at(10))).toBe('contended')
        expect(await verdict(at(0))).toBe('waits')
        nowMs += contractSettings.youngMs
        expect(await verdict(at(20))).toBe('contended')
        nowMs += 1
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(20))).toBe('send')
      })

      it('after an unknown outcome an older value waits, the same one goes again', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(10))).toBe('send')
      })

      it('an unsent attempt gives way to what was open before it, aged: clearing it would let an older value overtake', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(20)), 'unsent')
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(10))).toBe('send')
      })

      it('an unsent repeat keeps its own earlier attempt open', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(10)), 'unsent')
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(10))).toBe('send')
      })

      it('an unsent first attempt leaves nothing behind', async () => {
        await settle(await sent(at(10)), 'unsent')
        expect(await verdict(at(0))).toBe('send')
      })

      it('a refused attempt falls back below itself, also after an unknown try of its own', async () => {
        await settle(await sent(at(5)), 'unknown')
        aged()
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(10)), 'refused')
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(5))).toBe('send')
      })

      it('what was delivered meanwhile is not opened again', async () => {
        const first = await sent(at(5))
        aged()
        const second = await sent(at(10))
        await settle(first, 'delivered')
        await settle(second, 'refused')
        expect(await verdict(at(5))).toBe('delivered')
        expect(await verdict(at(7))).toBe('send')
      })

      it('settles by token: a late settle of an overtaken attempt moves done on but leaves the newer attempt open', async () => {
        const first = await sent(at(10))
        aged()
        await sent(at(20))
        await settle(first, 'unsent')
        expect(await verdict(at(15))).toBe('waits')
        await settle(first, 'delivered')
        expect(await verdict(at(10))).toBe('delivered')
        expect(await verdict(at(15))).toBe('waits')
      })

      it('a late delivery of an older stamp never moves done back', async () => {
        const first = await sent(at(10))
        aged()
        await settle(await sent(at(20)), 'delivered')
        await settle(first, 'delivered')
        expect(await verdict(at(15))).toBe('superseded')
      })

      it('judges attributes one by one, whatever they are called', async () => {
        const names = ['tier', '__proto__', 'constructor', 'a:b', 'b', 'with space', '"quoted"', '😀', 'x|y']
        const first = request(at(10), { attributes: names.map((name) => ({ name, stamp: at(10) })) })
        expect(await admit(first)).toMatchObject({ verdicts: names.map(() => 'send') })
        await settle(first, 'delivered')
        const second = request(at(20), { attributes: names.map((name, index) => ({ name, stamp: at(index % 2 === 0 ? 20 : 5) })) })
        expect(await admit(second)).toMatchObject({ verdicts: names.map((_, index) => (index % 2 === 0 ? 'send' : 'superseded')) })
      })

      it('refuses what is older than the retention, and says so when a newer attempt is open', async () => {
        nowMs += contractSettings.retentionMs
        expect(await verdict(at(-1))).toBe('expired')
        expect(await verdict(at(0))).toBe('send')
        expect(await verdict(at(-1))).toBe('overtaken')
      })
    })

    describe('event ids (G4)', () => {
      it('says in flight while young, without refreshing its age; then does it again under the first stamp; then duplicate', async () => {
        const event = unique()
        await sent(at(0), { event })
        nowMs += contractSettings.youngMs
        expect(await admit(request(at(100), { event }))).toEqual({ event: 'in_flight' })
        nowMs += 1
        const again = request(at(200), { event })
        expect(await admit(again)).toMatchObject({ event: 'open', verdicts: ['send'], firstStamp: at(0) })
        await settle({ ...again, attributes: [{ name: 'tier', stamp: at(0) }] }, 'delivered', { eventDone: event })
        expect(await admit(request(at(300), { event }))).toEqual({ event: 'duplicate' })
      })

      it('a duplicate costs no quota', async () => {
        const event = unique()
        await settle(await sent(at(0), { event }), 'delivered', { eventDone: event })
        const before = await used()
        await admit(request(at(300), { event }))
        expect(await used()).toBe(before)
      })

      it('asking for first stamps records what is unknown, and answers what is known', async () => {
        const [event, other] = [unique(), unique()]
        await sent(at(0), { event })
        expect(
          await ledger.firstStamps([
            { event, stamp: at(50) },
            { event: other, stamp: at(60) },
          ]),
        ).toEqual([at(0), at(60)])
        expect(await ledger.firstStamps([{ event: other, stamp: at(70) }])).toEqual([at(60)])
      })
    })

    describe('the quota (G1)', () => {
      it('is all or nothing, and a refusal spends nothing and leaves the register untouched', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        await settle(await sent(at(0), { units: 8 }), 'delivered')
        expect(await admit(request(at(1), { units: 3 }))).toMatchObject({ verdicts: ['quota'] })
        expect(await used()).toBe(8)
        expect(await admit(request(at(1), { units: 2 }))).toMatchObject({ verdicts: ['send'] })
      })

      it('decides a batch in order, and a smaller request may still fit', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        const answers = await ledger.admit(
          [7, 5, 3].map((units) => request(at(units), { units, visitorHash: unique() })),
          'live',
        )
        expect(answers.map((answer) => answer.event === 'open' && answer.verdicts[0])).toEqual(['send', 'quota', 'send'])
        expect(await used()).toBe(10)
      })

      it.each([
        ['replay', 100],
        ['high', 95],
        ['live', 90],
        ['bulk', 60],
      ] as const)('the lane %s may fill %i of 100', async (lane, ceiling) => {
        expect(await admit(request(at(0), { units: ceiling + 1 }), lane)).toMatchObject({ verdicts: ['quota'] })
        expect(await admit(request(at(0), { units: ceiling }), lane)).toMatchObject({ verdicts: ['send'] })
      })

      it('frees units exactly when their bucket is out of window and slack, and says when', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        await sent(at(0), { units: 6 })
        nowMs += 450
        await sent(at(1), { units: 4, visitorHash: unique() })
        const refused = await admit(request(at(2), { units: 7, visitorHash: unique() }))
        const freeMs = Math.floor((startMs + 450) / 100) * 100 + 100 + 10_000 + 1_500
        expect(refused).toMatchObject({ verdicts: ['quota'], retryAtMs: freeMs })
        nowMs = freeMs - 1
        expect(await admit(request(at(2), { units: 7, visitorHash: unique() }))).toMatchObject({ verdicts: ['quota'] })
        nowMs = freeMs
        expect(await admit(request(at(2), { units: 7, visitorHash: unique() }))).toMatchObject({ verdicts: ['send'] })
      })

      it('says no time for what can never fit', async () => {
        const answer = await admit(request(at(0), { units: 101 }))
        expect(answer).toMatchObject({ verdicts: ['quota'] })
        expect(answer).not.toHaveProperty('retryAtMs')
      })

      it('takes nothing for what is not sent', async () => {
        await settle(await sent(at(0)), 'delivered')
        expect(await verdict(at(-5))).toBe('superseded')
        expect(await used()).toBe(1)
      })

      it('gives units back to their bucket once, however often the settlement is repeated', async () => {
        const one = await admit(request(at(0), { units: 5, visitorHash: 'aa', token: 'token-one' }))
        const bucket = one.event === 'open' ? (one.bucket ?? 0) : 0
        await sent(at(0), { units: 5, visitorHash: 'bb' })
        const settlement: Settlement = {
          visitorHash: 'aa',
          token: 'token-one',
          attributes: [{ name: 'tier', stamp: at(0), outcome: 'delivered' }],
          giveBack: { bucket, units: 4 },
        }
        for (let time = 0; time < 3; time++) await ledger.settle([settlement])
        expect(await used()).toBe(6)
      })

      it('an unknown outcome gives nothing back', async () => {
        const one = request(at(0), { units: 5 })
        const answer = await admit(one)
        const bucket = answer.event === 'open' ? (answer.bucket ?? 0) : 0
        await settle(one, 'unknown', { giveBack: { bucket, units: 4 } })
        expect(await used()).toBe(5)
      })

      it('a clock that steps back reopens nothing', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        await sent(at(0), { units: 5 })
        nowMs -= 5_000
        await sent(at(1), { units: 5, visitorHash: unique() })
        nowMs = startMs + 11_500
        expect(await admit(request(at(2), { visitorHash: unique() }))).toMatchObject({ verdicts: ['quota'] })
        nowMs = startMs + 11_600
        expect(await admit(request(at(2), { visitorHash: unique() }))).toMatchObject({ verdicts: ['send'] })
      })

      it('reports what is used, by bucket, and when the next unit is free', async () => {
        await sent(at(0), { units: 5 })
        expect(await ledger.usage()).toMatchObject({
          limit: 100,
          used: 5,
          remaining: 95,
          nextFreeAtMs: startMs + 100 + 11_500,
          buckets: [[startMs, 5]],
        })
        nowMs = startMs + 11_600
        const usage = await ledger.usage()
        expect(usage).toMatchObject({ used: 0, remaining: 100, buckets: [] })
        expect(usage).not.toHaveProperty('nextFreeAtMs')
      })
    })

    describe('backoff', () => {
      it('keeps replay from a visitor until it is due, not live traffic; a delivery clears it', async () => {
        await settle(await sent(at(0)), 'unknown', { backoff: { attempts: 3, notBeforeMs: startMs + 60_000 } })
        aged()
        expect(await admit(request(at(0)), 'replay')).toMatchObject({ verdicts: ['backoff'], attempts: 3 })
        const live = await sent(at(5))
        await settle(live, 'delivered')
        expect(await admit(request(at(9)), 'replay')).toMatchObject({ verdicts: ['send'], attempts: 0 })
      })
    })

    describe('leases, memos, counters', () => {
      it('a lease has one holder, who may renew it, until it ends or is given back', async () => {
        const name = unique()
        expect(await ledger.lease(name, 'one', 1_000)).toBe(true)
        expect(await ledger.lease(name, 'two', 1_000)).toBe(false)
        nowMs += 900
        expect(await ledger.lease(name, 'one', 1_000)).toBe(true)
        nowMs += 999
        expect(await ledger.lease(name, 'two', 1_000)).toBe(false)
        nowMs += 1
        expect(await ledger.lease(name, 'two', 1_000)).toBe(true)
        await ledger.release(name, 'one')
        expect(await ledger.lease(name, 'one', 1_000)).toBe(false)
        await ledger.release(name, 'two')
        expect(await ledger.lease(name, 'one', 1_000)).toBe(true)
      })

      it('remembers', async () => {
        const name = unique()
        expect(await ledger.recall(name)).toBeUndefined()
        for (const value of ['1763892000000123', '{"at":1}', 'ä😀']) {
          await ledger.remember(name, value)
          expect(await ledger.recall(name)).toBe(value)
        }
      })

      it('counts', async () => {
        await ledger.settle([], { calls: 2, received: 1 })
        await ledger.settle([], { calls: 3 })
        expect((await ledger.usage()).counters).toEqual({ calls: 5, received: 1 })
      })

      it('refuses more than a batch', async () => {
        await expect(
          ledger.admit(
            Array.from({ length: maxBatch + 1 }, () => request(at(0))),
            'live',
          ),
        ).rejects.toThrow(RangeError)
      })

      it('takes a whole batch', async () => {
        const answers = await ledger.admit(
          Array.from({ length: maxBatch }, () => request(at(0), { visitorHash: unique() })),
          'replay',
        )
        expect(answers.filter((answer) => answer.event === 'open' && answer.verdicts[0] === 'send')).toHaveLength(100)
      })
    })
  })
}
