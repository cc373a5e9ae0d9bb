/** A ledger's state moves into another one: quota (G1), order (G3) and events (G4) hold there as before. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Admission, AdmitRequest, Ledger } from '../../src/core/ledger/port.ts'
import type { Outcome } from '../../src/core/ledger/rules/register.ts'
import type { LedgerSettings } from '../../src/core/ledger/rules/settings.ts'
import { at, contractSettings } from './ledger.ts'

type Make = (settings: LedgerSettings, clock: { now: () => number }) => Ledger
const startMs = 1_790_000_000_000
let serial = 0
const unique = () => (++serial).toString(16).padStart(24, '0')

async function move(from: Pick<Ledger, 'moveOut'>, to: Pick<Ledger, 'moveIn'>, id?: string): Promise<number> {
  let parts = 0
  for (let cursor: string | undefined; ; ) {
    const out = await from.moveOut(cursor)
    // As it is transferred.
    await to.moveIn(JSON.parse(JSON.stringify({ ...out.part, ...(id === undefined ? {} : { id: `${id}:${parts}` }) })))
    parts++
    cursor = out.cursor
    if (cursor === undefined) return parts
  }
}

/** @param makeLost a loss that this ledger noticed */
export function ledgerMoveContract(
  name: string,
  makeOne: Make,
  makeOther: Make,
  makeLost: (ledger: Ledger) => Promise<void>,
): void {
  describe(`a ledger moves: ${name}`, () => {
    const start = (settings: Partial<LedgerSettings> = {}) => {
      let nowMs = startMs
      const clock = { now: () => nowMs }
      const all = { ...contractSettings, ...settings }
      const [one, other] = [makeOne(all, clock), makeOther(all, clock)]
      const wait = (ms: number) => {
        nowMs += ms
      }
      return { one, other, wait }
    }
    const request = (visitorHash: string, stamp: string, more: Partial<AdmitRequest> = {}): AdmitRequest => ({
      visitorHash,
      attributes: [{ name: 'tier', stamp }],
      units: 1,
      token: unique(),
      ...more,
    })
    const ask = async (ledger: Ledger, asked: AdmitRequest) => (await ledger.admit([asked], 'live'))[0] as Admission
    const verdict = async (ledger: Ledger, asked: AdmitRequest) => {
      const answer = await ask(ledger, asked)
      return answer.event === 'open' ? answer.verdicts[0] : answer.event
    }

    it('units spent are spent there too, bucket by bucket, and are freed at the same times (G1)', async () => {
      const { one, other, wait } = start()
      await ask(one, request('v1', at(0), { units: 30 }))
      wait(2_000)
      await ask(one, request('v2', at(0), { units: 40, source: { name: 'noisy', units: 50 } }))
      wait(1_000)
      await move(one, other)
      const [before, after] = [await one.usage(), await other.usage()]
      expect({ used: after.used, buckets: after.buckets, nextFreeAtMs: after.nextFreeAtMs }).toEqual({
        used: 70,
        buckets: before.buckets,
        nextFreeAtMs: before.nextFreeAtMs,
      })
      expect(await verdict(other, request('v3', at(1), { units: 31 }))).toBe('quota')
      // The source is above its share there too: what is left is for others.
      expect(await verdict(other, request('v4', at(1), { units: 11, source: { name: 'noisy', units: 50 } }))).toBe(
        'quota',
      )
      expect(await verdict(other, request('v3', at(1), { units: 20 }))).toBe('send')
      wait(contractSettings.quotaWindowMs + contractSettings.quotaSlackMs - 2_900)
      expect((await other.usage()).used).toBe(60)
    })

    it('adds to what was spent there meanwhile, only once, however often the same export is imported', async () => {
      const { one, other } = start()
      await ask(one, request('v1', at(0), { units: 30 }))
      await ask(other, request('v2', at(0), { units: 20 }))
      await move(one, other, 'export-1')
      expect((await other.usage()).used).toBe(50)
      await move(one, other, 'export-1')
      expect((await other.usage()).used).toBe(50)
      // A later export is added again: too much is safe, too little is not.
      await move(one, other, 'export-2')
      expect((await other.usage()).used).toBe(80)
    })

    it('units that have left the window are not counted', async () => {
      const { one, other, wait } = start()
      await ask(one, request('v1', at(0), { units: 30 }))
      const { part } = await one.moveOut()
      wait(contractSettings.quotaWindowMs + contractSettings.quotaSlackMs + 200)
      await other.moveIn(part)
      expect((await other.usage()).used).toBe(0)
    })

    it('an attempt in flight there can still be cancelled: its units are given back (G7)', async () => {
      const { one, other, wait } = start()
      await ask(one, request('v1', at(3)))
      wait(1_000)
      const mine = request('v1', at(5), { units: 7 })
      expect(await verdict(other, mine)).toBe('send')
      await move(one, other)
      expect(await other.cancel([mine])).toBe(7)
      expect((await other.usage()).used).toBe(1)
    })

    it('what was delivered, superseded or erased stays so; what was open waits and is sent again (G3)', async () => {
      const { one, other, wait } = start()
      const settle = async (asked: AdmitRequest, outcome: Outcome) => {
        await ask(one, asked)
        await one.settle([
          {
            visitorHash: asked.visitorHash,
            token: asked.token,
            attributes: asked.attributes.map((a) => ({ ...a, outcome })),
          },
        ])
      }
      await settle(request('done', at(5)), 'delivered')
      await settle(request('open', at(3)), 'unknown')
      wait(contractSettings.inFlightMs + 1)
      await settle(request('open', at(5)), 'unknown')
      await one.erase('erased')
      await move(one, other)
      const of = (visitor: string, ms: number) => verdict(other, request(visitor, at(ms)))
      expect([await of('done', 5), await of('done', 4), await of('done', 6)]).toEqual([
        'delivered',
        'superseded',
        'send',
      ])
      expect(await of('open', 4)).toBe('waits')
      expect(await of('erased', 1)).toBe('erased')
      const again = request('open', at(5))
      expect(await verdict(other, again)).toBe('send')
      // Once it is refused, the older one, whose outcome is not known either, holds back what is older still.
      await other.settle([
        { visitorHash: 'open', token: again.token, attributes: [{ name: 'tier', stamp: at(5), outcome: 'refused' }] },
      ])
      expect([await of('open', 2), await of('open', 3)]).toEqual(['waits', 'send'])
    })

    it('is merged with what is known there: the newer delivery counts, and an attempt in flight goes on', async () => {
      const { one, other } = start()
      const settled = async (ledger: Ledger, visitor: string, ms: number) => {
        const asked = request(visitor, at(ms))
        await ask(ledger, asked)
        await ledger.settle([
          {
            visitorHash: visitor,
            token: asked.token,
            attributes: [{ name: 'tier', stamp: at(ms), outcome: 'delivered' }],
          },
        ])
      }
      await settled(one, 'a', 5)
      await settled(other, 'a', 3)
      await settled(one, 'b', 3)
      await settled(other, 'b', 5)
      await settled(one, 'c', 1)
      const running = request('c', at(9))
      await ask(other, running)
      await move(one, other)
      for (const visitor of ['a', 'b']) expect(await verdict(other, request(visitor, at(4)))).toBe('superseded')
      expect(await verdict(other, request('c', at(10)))).toBe('contended')
      await other.settle([
        { visitorHash: 'c', token: running.token, attributes: [{ name: 'tier', stamp: at(9), outcome: 'delivered' }] },
      ])
      expect(await other.visitor('c')).toEqual([{ name: 'tier', done: at(9) }])
    })

    it('what lost its order in a loss stays lost there too (G3)', async () => {
      const { one, other, wait } = start()
      await ask(one, request('v', at(0)))
      await makeLost(one)
      const { lostAtMs } = await one.usage()
      expect(lostAtMs).toBeGreaterThan(startMs)
      await move(one, other)
      expect((await other.usage()).lostAtMs).toBe(lostAtMs)
      expect(await verdict(other, request('w', at(1)))).toBe('lost')
      wait(contractSettings.quotaSlackMs + 1)
      expect(await verdict(other, request('w', at(contractSettings.quotaSlackMs + 1)))).not.toBe('lost')
    })

    it('events keep their first stamps, and those that were done are duplicates (G4)', async () => {
      const { one, other, wait } = start()
      const [done, refused, open] = [unique(), unique(), unique()]
      await one.settle([{ visitorHash: 'v', token: '', attributes: [], eventDone: done }])
      await one.settle([{ visitorHash: 'v', token: '', attributes: [], eventDone: refused, eventRejected: true }])
      await ask(one, request('v', at(0), { event: open }))
      await move(one, other)
      expect(await ask(other, request('v', at(50), { event: refused }))).toEqual({ event: 'rejected' })
      expect(await ask(other, request('v', at(50), { event: done }))).toEqual({ event: 'duplicate' })
      expect(await ask(other, request('w', at(50), { event: open }))).toEqual({ event: 'in_flight' })
      wait(contractSettings.inFlightMs + 1)
      expect(await ask(other, request('w', at(50), { event: open }))).toMatchObject({ firstStamp: at(0) })
    })

    it('moves completely, in parts, whatever its size', async () => {
      const { one, other } = start({ quotaLimit: 100_000 })
      const visitors = Array.from({ length: 700 }, (_, n) => `many-${n}`)
      for (let from = 0; from < visitors.length; from += 100)
        await one.admit(
          visitors.slice(from, from + 100).map((visitor) => request(visitor, at(0), { event: `event-of-${visitor}` })),
          'live',
        )
      expect(await move(one, other)).toBeGreaterThan(2)
      for (const visitor of visitors) expect(await other.visitor(visitor)).toEqual([{ name: 'tier', open: at(0) }])
      const stamps = await other.firstStamps(
        visitors.slice(-100).map((visitor) => ({ event: `event-of-${visitor}`, stamp: at(9) })),
      )
      expect(new Set(stamps)).toEqual(new Set([at(0)]))
      expect((await other.usage()).used).toBe(700)
    })

    it('after any history, the next requests get the same answers as they would have before', async () => {
      const names = ['tier', '__proto__', 'a b|c:"😀"', 'd', 'e', 'f', 'g', 'h']
      const outcomes: Outcome[] = ['delivered', 'unsent', 'refused', 'unknown']
      const step = fc.record({
        visitor: fc.integer({ min: 0, max: 2 }),
        event: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
        stamp: fc.integer({ min: 0, max: 9 }),
        names: fc.subarray(names, { minLength: 1 }),
        outcome: fc.option(fc.constantFrom(...outcomes), { nil: undefined }),
        done: fc.boolean(),
        waitMs: fc.integer({ min: 0, max: 12_000 }),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 14 }), fc.array(step, { maxLength: 8 }), async (history, next) => {
          const { one, other, wait } = start({ quotaWindowMs: 100_000, quotaBucketMs: 1_000 })
          const run = async (
            ledgers: readonly Ledger[],
            { visitor, event, stamp, names: some, outcome, done, waitMs }: (typeof history)[number],
          ) => {
            const asked = request(`v${visitor}`, at(stamp), {
              attributes: some.map((name) => ({ name, stamp: at(stamp) })),
              ...(event === undefined ? {} : { event: `e${event}` }),
            })
            const answers: unknown[] = []
            for (const ledger of ledgers) {
              const answer = await ask(ledger, asked)
              answers.push(answer)
              if (outcome === undefined || answer.event !== 'open') continue
              const settled = answer.firstStamp ?? at(stamp)
              await ledger.settle([
                {
                  visitorHash: asked.visitorHash,
                  token: asked.token,
                  attributes: some.map((name) => ({ name, stamp: settled, outcome })),
                  ...(done && event !== undefined ? { eventDone: `e${event}` } : {}),
                },
              ])
            }
            wait(waitMs)
            return answers
          }
          for (const one_ of history) await run([one], one_)
          // What was in flight in the old ledger counts as over in the new one.
          wait(contractSettings.inFlightMs + 1)
          await move(one, other)
          for (const one_ of next) {
            const [before, after] = await run([one, other], one_)
            expect(after).toEqual(before)
          }
        }),
        { numRuns: 60 },
      )
    }, 60_000)
  })
}
