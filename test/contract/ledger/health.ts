/** How the ledger reacts to failures: doubt before the first yes, the breaker, denials of one visitor. */
import { describe, expect, it } from 'vitest'
import type { Settlement } from '../../../src/core/ledger/port.ts'
import { deniedThatOpen, failuresThatOpen } from '../../../src/core/ledger/rules/health.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import type { Lane } from '../../../src/core/update/update.ts'
import { at, type Bench, unique } from './bench.ts'

export function healthContract(bench: Bench): void {
  const { fresh, request, admit, settle, sent, aged } = bench

  describe('before the first yes', () => {
    const told = (signal: 'up' | 'refused', probe = false) =>
      bench.ledger.settle([
        {
          visitorHash: unique(),
          token: unique(),
          attributes: [],
          signal,
          ...(probe ? { probe: true as const } : {}),
        },
      ])
    const doubted = async () => {
      const answer = await admit(request(at(0), { visitorHash: unique() }))
      return answer.event === 'open' && answer.systemic === true
    }

    it('every admission says that a refusal is not a verdict; one yes ends that for good', async () => {
      expect(await doubted()).toBe(true)
      await told('up')
      expect(await doubted()).toBe(false)
      await told('refused')
      expect(await doubted()).toBe(false)
      expect((await bench.ledger.summary()).health.breaker).toBeUndefined()
    })

    it('one refusal opens the breaker, and a yes closes it', async () => {
      await told('refused')
      expect((await bench.ledger.summary()).health.breaker).toMatchObject({ cause: 'systemic' })
      await told('up')
      expect((await bench.ledger.summary()).health).not.toHaveProperty('breaker')
    })
  })

  describe('an operator closes the breaker', () => {
    const told = (signal: 'up' | 'down' | 'refused') =>
      bench.ledger.settle([{ visitorHash: unique(), token: unique(), attributes: [], signal }])

    it('everything goes again, and what led to it is forgotten: it takes as much to open it anew', async () => {
      await told('up')
      for (let count = 0; count < failuresThatOpen; count++) await told('down')
      expect((await bench.ledger.summary()).health).toHaveProperty('breaker')
      expect(await bench.ledger.closeBreaker()).toBe(true)
      const { health } = await bench.ledger.summary()
      expect(health).toMatchObject({ failures: 0, failedTraits: [], saidYes: true, paused: false })
      expect(health).not.toHaveProperty('breaker')
      await told('down')
      expect((await bench.ledger.summary()).health).not.toHaveProperty('breaker')
    })

    it('a pause stays, and a Target that never said yes is doubted as before', async () => {
      await told('refused')
      await bench.ledger.pause(true)
      expect(await bench.ledger.closeBreaker()).toBe(true)
      expect((await bench.ledger.summary()).health).toMatchObject({ paused: true, saidYes: false })
    })

    it('one that is not open stays so', async () => {
      expect(await bench.ledger.closeBreaker()).toBe(false)
      expect((await bench.ledger.summary()).health).not.toHaveProperty('breaker')
    })
  })

  describe('the breaker', () => {
    const breaker = async () => (await bench.ledger.summary()).health.breaker
    const failedAt = async (second: number) => {
      await settle(await sent(at(second)), 'unknown', {
        signal: 'down',
        backoff: { attempts: 1, waitMs: 1 },
        sources: ['crm'],
      })
      aged()
    }

    it('is opened by failed first tries, not by as many retries of one that failed before', async () => {
      for (let second = 0; second < 2 * failuresThatOpen; second++) await failedAt(second)
      expect(await breaker()).toBeUndefined()
      for (let first = 1; first < failuresThatOpen; first++) {
        bench.visitor = unique()
        await failedAt(0)
      }
      expect(await breaker()).toMatchObject({ cause: 'unavailable', traits: ['s:crm', 'a:tier'] })
    })
  })

  describe('an update that is denied repeatedly', () => {
    const hourMs = 3_600_000
    const deny = async (more: Partial<Settlement> = {}) =>
      bench.ledger.settle([{ visitorHash: bench.visitor, token: unique(), attributes: [], signal: 'wrong', ...more }])
    const yesOfAnother = async () =>
      bench.ledger.settle([{ visitorHash: unique(), token: unique(), attributes: [], signal: 'up' }])
    const lastTry = async (lane: Lane = 'replay') => {
      const stamp = makeStamp(bench.nowMs, bench.nowMs, '0'.repeat(16))
      const answer = await admit(request(stamp, { attributes: [{ name: unique(), stamp }] }), lane)
      return answer.event === 'open' && answer.lastTry === true
    }
    const denials = async (count: number) => {
      for (let n = 0; n < count; n++) {
        await deny()
        await yesOfAnother()
      }
    }

    it('has its last try with the eighth, an hour after the first, and only in replay', async () => {
      await yesOfAnother()
      await denials(6)
      bench.nowMs += hourMs
      expect(await lastTry()).toBe(false)
      await denials(1)
      expect([await lastTry(), await lastTry('live')]).toEqual([true, false])
      await fresh()
      await denials(7)
      bench.nowMs += hourMs - 1
      expect(await lastTry()).toBe(false)
      bench.nowMs++
      expect(await lastTry()).toBe(true)
    })

    it('has no last try if nobody else was delivered meanwhile, nor while the breaker is open', async () => {
      await yesOfAnother()
      for (let n = 0; n < 20; n++) await deny()
      await yesOfAnother()
      bench.nowMs += hourMs
      expect(await lastTry()).toBe(false)
      await denials(7)
      await deny()
      expect(await lastTry()).toBe(false)
      await yesOfAnother()
      expect(await lastTry()).toBe(true)
      for (let n = 0; n < deniedThatOpen; n++) await deny({ visitorHash: unique() })
      expect((await bench.ledger.summary()).health.breaker).toBeDefined()
      expect(await lastTry()).toBe(false)
    })

    it.each(['up', 'refused', 'down'] as const)(
      'is counted from the start once an attempt of it was settled as %s, and after a verdict',
      async (signal) => {
        for (const more of [{ signal }, { judged: true as const }]) {
          await fresh()
          await yesOfAnother()
          await denials(7)
          bench.nowMs += hourMs
          expect(await lastTry()).toBe(true)
          await deny(more)
          await yesOfAnother()
          expect(await lastTry()).toBe(false)
        }
      },
    )
  })
}
