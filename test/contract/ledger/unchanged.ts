/** What a source that skips what is unchanged need not send. */
import { describe, expect, it } from 'vitest'
import type { AdmitRequest, Settlement } from '../../../src/core/ledger/port.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { at, type Bench, contractSettings, startMs } from './bench.ts'

export function unchangedContract(bench: Bench): void {
  const { fresh, request, admit, settle, used, aged } = bench
  const of = (stamp: string, hash: string | undefined, more: Partial<AdmitRequest> = {}) =>
    request(stamp, { attributes: [{ name: 'tier', stamp, ...(hash === undefined ? {} : { hash }) }], ...more })
  const asked = async (stamp: string, hash: string | undefined, more: Partial<AdmitRequest> = {}) => {
    const one = of(stamp, hash, more)
    const answer = await admit(one, 'replay')
    return { one, verdict: answer.event === 'open' ? answer.verdicts[0] : answer.event }
  }
  const verdictOf = async (...asking: Parameters<typeof asked>) => (await asked(...asking)).verdict
  /** Admits it, expects that it goes, and settles it. */
  const went = async (
    stamp: string,
    hash: string | undefined,
    outcome: Settlement['attributes'][number]['outcome'] = 'delivered',
  ) => {
    const { one, verdict } = await asked(stamp, hash)
    expect(verdict).toBe('send')
    await settle(one, outcome)
  }

  describe('what is unchanged', () => {
    it('makes no call and costs no unit; another value, or one without a hash, goes', async () => {
      await went(at(0), 'gold')
      expect(await verdictOf(at(1), 'gold')).toBe('unchanged')
      expect(await used()).toBe(1)
      await went(at(2), 'silver')
      expect(await verdictOf(at(3), undefined)).toBe('send')
    })

    it('an older value that comes after it is superseded (G3)', async () => {
      await went(at(0), 'gold')
      expect(await verdictOf(at(9), 'gold')).toBe('unchanged')
      expect(await verdictOf(at(5), 'silver')).toBe('superseded')
      expect(await verdictOf(at(9), 'gold')).toBe('delivered')
      expect(await verdictOf(at(10), 'gold')).toBe('unchanged')
    })

    it('is sent once more when its last real delivery is older than the retention, however often it was skipped', async () => {
      const { retentionMs } = contractSettings
      await went(at(0), 'gold')
      for (const part of [0.25, 0.5, 0.75, 1]) {
        bench.nowMs = startMs + part * retentionMs
        expect(await verdictOf(at(part * retentionMs), 'gold')).toBe('unchanged')
      }
      bench.nowMs += 1
      expect(await verdictOf(at(retentionMs + 1), 'gold')).toBe('send')
    })

    it('a delivery without a hash makes void what was known', async () => {
      await went(at(0), 'gold')
      await went(at(1), undefined)
      expect(await verdictOf(at(2), 'gold')).toBe('send')
    })

    it.each(['unsent', 'refused', 'unknown'] as const)(
      'nothing is skipped after an attempt that ended %s',
      async (outcome) => {
        await went(at(0), 'gold')
        await went(at(1), 'silver', outcome)
        aged()
        expect(await verdictOf(at(2), 'gold')).toBe('send')
      },
    )

    it('nothing is skipped while an attempt is open, in flight or not', async () => {
      await went(at(0), 'gold')
      await asked(at(1), 'silver')
      expect(await verdictOf(at(2), 'gold')).toBe('contended')
      aged()
      expect(await verdictOf(at(2), 'gold')).toBe('send')
    })

    it('what is open below counts too', async () => {
      await went(at(0), 'gold')
      await asked(at(1), 'silver')
      aged()
      const { one } = await asked(at(2), 'bronze')
      await settle(one, 'refused')
      expect(await verdictOf(at(3), 'gold')).toBe('send')
    })

    it('a settle that is repeated keeps what is known, also behind a skip', async () => {
      const { one } = await asked(at(0), 'gold')
      await settle(one, 'delivered')
      await settle(one, 'delivered')
      expect(await verdictOf(at(1), 'gold')).toBe('unchanged')
      await settle(one, 'delivered')
      expect(await verdictOf(at(2), 'gold')).toBe('unchanged')
    })

    it('what is delivered by an attempt that no longer owns its register is not known', async () => {
      const { one } = await asked(at(0), 'gold')
      aged()
      await went(at(1), 'silver', 'unsent')
      await settle(one, 'delivered')
      expect(await verdictOf(at(2), 'gold')).toBe('send')
    })

    it('an erasure forgets it, and what was admitted before it', async () => {
      await went(at(0), 'gold')
      const { one } = await asked(at(1), 'silver')
      bench.nowMs += 10
      await bench.ledger.erase(bench.visitor)
      await settle(one, 'delivered')
      bench.nowMs += 10
      expect(await verdictOf(at(15), 'silver')).toBe('send')
    })

    it('costs nothing of an empty quota, and goes on while calls are paused', async () => {
      await fresh({ quotaLimit: 1, replayReserve: 0 })
      await went(at(0), 'gold')
      expect(await verdictOf(at(1), 'silver')).toBe('quota')
      expect(await verdictOf(at(2), 'gold')).toBe('unchanged')
      await bench.ledger.pause(true)
      expect(await verdictOf(at(3), 'gold')).toBe('unchanged')
    })

    it('of several attributes the others go', async () => {
      const all = (ms: number, tier: string, city: string) =>
        request(at(ms), {
          attributes: [
            { name: 'tier', stamp: at(ms), hash: tier },
            { name: 'city', stamp: at(ms), hash: city },
          ],
        })
      const first = all(0, 'gold', 'oslo')
      await admit(first)
      await bench.ledger.settle([
        {
          visitorHash: first.visitorHash,
          token: first.token,
          attributes: first.attributes.map((one) => ({ ...one, outcome: 'delivered' as const })),
        },
      ])
      const second = all(1, 'gold', 'rome')
      expect(await admit(second)).toMatchObject({ verdicts: ['unchanged', 'send'] })
      expect(await verdictOf(at(2), 'gold')).toBe('unchanged')
      expect(await bench.ledger.visitor(bench.visitor)).toEqual(
        expect.arrayContaining([
          { name: 'tier', done: at(2) },
          { name: 'city', done: at(0), open: at(1) },
        ]),
      )
    })

    it('is no place to keep a stamp of the future', async () => {
      await went(at(0), 'gold')
      expect(await verdictOf(makeStamp(startMs + 600_000, startMs, '0'.repeat(16)), 'gold')).toBe('ahead')
    })
  })
}
