/** How long replay leaves a visitor alone after a failed try. */
import { describe, expect, it } from 'vitest'
import { at, type Bench, startMs, unique } from './bench.ts'

export function backoffContract(bench: Bench): void {
  const { request, admit, verdict, settle, sent, used, aged } = bench

  describe('backoff', () => {
    it('holds back replay of a visitor until it is due, but not live traffic; a delivery clears it', async () => {
      await settle(await sent(at(0)), 'unknown', { backoff: { attempts: 3, waitMs: 60_000 } })
      aged()
      expect(await admit(request(at(0)), 'replay')).toMatchObject({ verdicts: ['backoff'], attempts: 3 })
      const live = await sent(at(5))
      await settle(live, 'delivered')
      expect(await admit(request(at(9)), 'replay')).toMatchObject({ verdicts: ['send'], attempts: 0 })
    })
  })

  describe('backoff, in detail', () => {
    const backoff = { attempts: 2, waitMs: 30_000 }
    const failed = async () => {
      await settle(await sent(at(0)), 'unknown', { backoff })
      aged()
    }

    it('ends at its exact millisecond', async () => {
      await failed()
      bench.nowMs = startMs + 29_999
      expect(await verdict(at(0), 'replay')).toBe('backoff')
      bench.nowMs = startMs + 30_000
      expect(await verdict(at(0), 'replay')).toBe('send')
    })

    it('spends no units, and is the answer only for what would have been sent', async () => {
      await settle(await sent(at(10), { attributes: [{ name: 'a', stamp: at(10) }] }), 'delivered')
      await failed()
      const before = await used()
      const attributes = ['a', 'tier', 'new'].map((name) => ({ name, stamp: at(0) }))
      expect(await admit(request(at(0), { attributes }), 'replay')).toMatchObject({
        verdicts: ['superseded', 'backoff', 'backoff'],
        attempts: 2,
      })
      expect(await used()).toBe(before)
    })

    it('a delivery wins over a backoff in the same settlement', async () => {
      const one = request(at(0), { attributes: ['a', 'b'].map((name) => ({ name, stamp: at(0) })) })
      await admit(one)
      await bench.ledger.settle([
        {
          visitorHash: bench.visitor,
          token: one.token,
          attributes: [
            { name: 'a', stamp: at(0), outcome: 'delivered' },
            { name: 'b', stamp: at(0), outcome: 'unknown' },
          ],
          backoff,
        },
      ])
      aged()
      expect(await admit(request(at(0), { attributes: [{ name: 'b', stamp: at(0) }] }), 'replay')).toMatchObject({
        verdicts: ['send'],
        attempts: 0,
      })
    })

    it('stays until a delivery, and can be set without an attribute', async () => {
      await bench.ledger.settle([{ visitorHash: bench.visitor, token: unique(), attributes: [], backoff }])
      bench.nowMs += 1
      await settle(await sent(at(0)), 'unsent')
      expect(await admit(request(at(0)), 'replay')).toMatchObject({ verdicts: ['backoff'], attempts: 2 })
    })
  })
}
