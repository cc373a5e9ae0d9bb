/** The quota, its lanes and shares. */
import { describe, expect, it } from 'vitest'
import type { Settlement } from '../../../src/core/ledger/port.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import type { Lane } from '../../../src/core/update/update.ts'
import { at, type Bench, contractSettings, startMs, unique } from './bench.ts'

export function quotaContract(bench: Bench): void {
  const { fresh, request, admit, verdict, settle, sent, used, aged } = bench

  describe('the quota (G1)', () => {
    it('grants all or nothing; a refusal spends nothing and leaves the register unchanged', async () => {
      await fresh({ quotaLimit: 10, replayReserve: 0 })
      await settle(await sent(at(0), { units: 8 }), 'delivered')
      expect(await admit(request(at(1), { units: 3 }))).toMatchObject({ verdicts: ['quota'] })
      expect(await used()).toBe(8)
      expect(await admit(request(at(1), { units: 2 }))).toMatchObject({ verdicts: ['send'] })
    })

    it('held, refused or outdated requests do not change the window: after a small step back the next one is dated by the clock', async () => {
      await admit(request(at(0), { hold: true }))
      await admit(request(at(0), { units: contractSettings.quotaLimit + 1 }))
      bench.nowMs -= 240_000
      const answer = await admit(request(makeStamp(bench.nowMs, bench.nowMs, '0'.repeat(16))))
      expect(answer).toMatchObject({ verdicts: ['send'], bucket: bench.nowMs - 1 + contractSettings.quotaBucketMs })
    })

    it('decides a batch in order, and a smaller request may still fit', async () => {
      await fresh({ quotaLimit: 10, replayReserve: 0 })
      const answers = await bench.ledger.admit(
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

    it('frees units exactly when their bucket has left window and slack, and says when', async () => {
      await fresh({ quotaLimit: 10, replayReserve: 0 })
      await sent(at(0), { units: 6 })
      bench.nowMs += 450
      await sent(at(1), { units: 4, visitorHash: unique() })
      const refused = await admit(request(at(2), { units: 7, visitorHash: unique() }))
      const freeMs = Math.floor((startMs + 450) / 100) * 100 + 100 + 10_000 + 1_500
      expect(refused).toMatchObject({ verdicts: ['quota'], retryAtMs: freeMs })
      bench.nowMs = freeMs - 1
      expect(await admit(request(at(2), { units: 7, visitorHash: unique() }))).toMatchObject({ verdicts: ['quota'] })
      bench.nowMs = freeMs
      expect(await admit(request(at(2), { units: 7, visitorHash: unique() }))).toMatchObject({ verdicts: ['send'] })
    })

    it.each([0.2, 0.25, 0.5])(
      'every lane has a part of the quota, whatever the reserve: %d (G7)',
      async (replayReserve) => {
        await fresh({ replayReserve })
        expect(await admit(request(at(0)), 'bulk')).toMatchObject({ verdicts: ['send'] })
        // Above its share a source has this ceiling in every lane: if it were zero, its updates would wait until they expire.
        const over = request(at(0), { visitorHash: unique(), source: { name: 'desk', units: 0 } })
        expect(await admit(over, 'replay')).toMatchObject({ verdicts: ['send'] })
      },
    )

    it('lanes share one total: what one takes is missing for the others, and replay keeps its reserve', async () => {
      const on = async (lane: Lane, units: number) => {
        const answer = await admit(request(at(0), { units, visitorHash: unique() }), lane)
        return answer.event === 'open' && answer.verdicts[0]
      }
      expect(await on('bulk', 60)).toBe('send')
      expect(await on('bulk', 1)).toBe('quota')
      expect(await on('live', 30)).toBe('send')
      expect(await on('live', 1)).toBe('quota')
      expect(await on('high', 5)).toBe('send')
      expect(await on('high', 1)).toBe('quota')
      expect(await on('replay', 5)).toBe('send')
      expect(await on('replay', 1)).toBe('quota')
    })

    it('the retry time depends on the lane and on how many buckets must be freed', async () => {
      const freeMs: number[] = []
      for (const units of [30, 30, 30]) {
        freeMs.push(Math.floor(bench.nowMs / 100) * 100 + 100 + 11_500)
        await sent(at(0), { units, visitorHash: unique() })
        bench.nowMs += 1_000
      }
      const retryAt = async (units: number, lane: Lane) => {
        const answer = await admit(request(at(0), { units, visitorHash: unique() }), lane)
        return answer.event === 'open' ? answer.retryAtMs : undefined
      }
      expect(await retryAt(1, 'live')).toBe(freeMs[0])
      expect(await retryAt(30, 'live')).toBe(freeMs[0])
      expect(await retryAt(31, 'live')).toBe(freeMs[1])
      expect(await retryAt(90, 'live')).toBe(freeMs[2])
      expect(await retryAt(91, 'live')).toBeUndefined()
      expect(await retryAt(1, 'bulk')).toBe(freeMs[1])
      expect(await retryAt(41, 'replay')).toBe(freeMs[1])
    })

    it('takes the units of a request once, however many of its attributes are sent, and says from which bucket', async () => {
      bench.nowMs += 250
      const attributes = ['a', 'b', 'c'].map((name) => ({ name, stamp: at(0) }))
      const answer = await admit(request(at(0), { attributes, units: 2 }))
      expect(answer).toMatchObject({
        event: 'open',
        verdicts: ['send', 'send', 'send'],
        bucket: startMs + 299,
        attempts: 0,
      })
      expect(await used()).toBe(2)
    })

    it('`quota` is only the answer for attributes that would have been sent', async () => {
      const attributes = (ms: number) => ['a', 'b'].map((name) => ({ name, stamp: at(ms) }))
      await settle(await sent(at(10), { attributes: attributes(10).slice(0, 1) }), 'delivered')
      const answer = await admit(request(at(5), { attributes: attributes(5), units: 101 }))
      expect(answer).toMatchObject({ verdicts: ['superseded', 'quota'] })
      expect(answer).not.toHaveProperty('bucket')
    })

    it('gives no retry time for what can never fit', async () => {
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
      for (let time = 0; time < 3; time++) await bench.ledger.settle([settlement])
      expect(await used()).toBe(6)
    })

    const taken = async (units: number) => {
      const one = request(at(0), { units, visitorHash: unique() })
      const answer = await admit(one)
      if (answer.event !== 'open' || answer.bucket === undefined) throw new Error('not admitted')
      return { one, bucket: answer.bucket }
    }

    it('units given back free their own bucket and can be taken again at once', async () => {
      await fresh({ quotaLimit: 10, replayReserve: 0 })
      const { one, bucket } = await taken(6)
      bench.nowMs += 1_000
      await taken(4)
      await settle(one, 'unsent', { giveBack: { bucket, units: 6 } })
      expect(await bench.ledger.usage()).toMatchObject({
        used: 4,
        buckets: [[startMs + 1_000, 4]],
        nextFreeAtMs: startMs + 12_600,
      })
      await taken(6)
      expect(await used()).toBe(10)
    })

    it('never gives back more than the bucket holds, nor to a bucket that is gone', async () => {
      const { one, bucket } = await taken(5)
      await settle(one, 'unsent', { giveBack: { bucket, units: 50 } })
      expect(await bench.ledger.usage()).toMatchObject({ used: 0, buckets: [] })
      const late = await taken(5)
      bench.nowMs += 11_600
      const now = await taken(3)
      await settle(late.one, 'unsent', { giveBack: { bucket: late.bucket, units: 5 } })
      expect(await used()).toBe(3)
      await settle(now.one, 'delivered', { giveBack: { bucket: now.bucket, units: 1 } })
      expect(await used()).toBe(2)
    })

    it('an attempt that no longer owns its register gives nothing back, delivered or not', async () => {
      const { one, bucket } = await taken(5)
      aged()
      await sent(at(9), { visitorHash: one.visitorHash })
      const before = await used()
      await settle(one, 'delivered', { giveBack: { bucket, units: 4 } })
      await settle(one, 'unsent', { giveBack: { bucket, units: 4 } })
      expect(await used()).toBe(before)
    })

    it('one attribute that is closed is enough to give units back', async () => {
      const one = request(at(0), { units: 5, attributes: ['a', 'b'].map((name) => ({ name, stamp: at(0) })) })
      const answer = await admit(one)
      const bucket = answer.event === 'open' ? (answer.bucket ?? 0) : 0
      await bench.ledger.settle([
        {
          visitorHash: one.visitorHash,
          token: one.token,
          attributes: [
            { name: 'a', stamp: at(0), outcome: 'unknown' },
            { name: 'b', stamp: at(0), outcome: 'unsent' },
          ],
          giveBack: { bucket, units: 3 },
        },
      ])
      expect(await used()).toBe(2)
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
      bench.nowMs -= 5_000
      await sent(at(1), { units: 5, visitorHash: unique() })
      bench.nowMs = startMs + 11_500
      expect(await admit(request(at(2), { visitorHash: unique() }))).toMatchObject({ verdicts: ['quota'] })
      bench.nowMs = startMs + 11_600
      expect(await admit(request(at(2), { visitorHash: unique() }))).toMatchObject({ verdicts: ['send'] })
    })

    it('reports what is used, by bucket, and when the next unit is free', async () => {
      await sent(at(0), { units: 5 })
      expect(await bench.ledger.usage()).toMatchObject({
        limit: 100,
        used: 5,
        remaining: 95,
        nextFreeAtMs: startMs + 100 + 11_500,
        buckets: [[startMs, 5]],
      })
      bench.nowMs = startMs + 11_600
      const usage = await bench.ledger.usage()
      expect(usage).toMatchObject({ used: 0, remaining: 100, buckets: [] })
      expect(usage).not.toHaveProperty('nextFreeAtMs')
    })
  })
}
