/** Pacing: how the quota is spread over the window. */
import { describe, expect, it } from 'vitest'
import type { AdmitRequest } from '../../../src/core/ledger/port.ts'
import type { Lane } from '../../../src/core/update/update.ts'
import { at, type Bench, startMs, unique } from './bench.ts'

export function paceContract(bench: Bench): void {
  const { fresh, request, admit, settle } = bench
  /** 100 units a span of a second, 400 while nothing is spent. */
  const even = { quotaLimit: 2_400, quotaWindowMs: 24_000, quotaBucketMs: 100, pace: 'even' as const }
  const asked = async (units: number, lane: Lane = 'replay', more: Partial<AdmitRequest> = {}) => {
    const one = request(at(0), { units, visitorHash: unique(), ...more })
    const answer = await admit(one, lane)
    if (answer.event !== 'open') throw new Error(answer.event)
    const { verdicts, bucket = 0, retryAtMs } = answer
    return { one, verdict: verdicts[0], bucket, retryAtMs }
  }
  const verdictOf = async (...asking: Parameters<typeof asked>) => (await asked(...asking)).verdict

  describe('pacing', () => {
    it('none: the whole quota may go at once', async () => {
      await fresh({ ...even, pace: 'none' })
      expect(await verdictOf(2_400)).toBe('send')
    })

    it('even: of a free window a sixth goes at once, and of what is left then the next sixth', async () => {
      await fresh(even)
      expect(await verdictOf(300)).toBe('send')
      expect(await verdictOf(100)).toBe('send')
      const refused = await asked(1)
      // The first unit leaves the span with its bucket.
      expect(refused).toMatchObject({ verdict: 'quota', retryAtMs: startMs + 1_000 })
      bench.nowMs = startMs + 999
      expect(await verdictOf(1)).toBe('quota')
      bench.nowMs = startMs + 1_000
      expect(await verdictOf(333)).toBe('send')
      expect(await verdictOf(1)).toBe('quota')
    })

    it('says when there will be room, counting that what leaves the span makes the next one smaller', async () => {
      await fresh(even)
      const retryAt = async (units: number) => (await asked(units)).retryAtMs
      for (const units of [100, 100, 100, 100]) {
        await asked(units)
        bench.nowMs += 200
      }
      bench.nowMs = startMs + 650
      expect(await retryAt(83)).toBe(startMs + 1_000)
      expect(await retryAt(84)).toBe(startMs + 1_200)
      expect(await retryAt(166)).toBe(startMs + 1_200)
      expect(await retryAt(167)).toBe(startMs + 1_400)
      expect(await retryAt(2_000)).toBe(startMs + 1_600)
      bench.nowMs = startMs + 1_000
      expect(await verdictOf(84)).toBe('quota')
      expect(await verdictOf(83)).toBe('send')
    })

    it('a lasting overload gets a 24th of the quota in each span, once the window is nearly full', async () => {
      await fresh(even)
      const granted: number[] = []
      for (let span = 0; span < 26; span++) {
        bench.nowMs = startMs + span * 1_000
        let units = 0
        while ((await verdictOf(10)) === 'send') units += 10
        granted.push(units)
      }
      expect(granted.slice(0, 9)).toEqual([400, 330, 270, 230, 190, 160, 130, 110, 100])
      expect(granted.reduce((sum, units) => sum + units, 0)).toBe(2_400)
      expect(Math.min(...granted.slice(0, 12))).toBeGreaterThanOrEqual(100)
    })

    it('each lane has its part of a span, so that replay keeps its reserve in it', async () => {
      await fresh(even)
      expect(await verdictOf(240, 'bulk')).toBe('send')
      expect(await verdictOf(1, 'bulk')).toBe('quota')
      expect(await verdictOf(120, 'live')).toBe('send')
      expect(await verdictOf(1, 'live')).toBe('quota')
      expect(await verdictOf(20, 'high')).toBe('send')
      expect(await verdictOf(1, 'high')).toBe('quota')
      expect(await verdictOf(20, 'replay')).toBe('send')
      expect(await verdictOf(1, 'replay')).toBe('quota')
    })

    it('a source over its share has the part of bulk, and others borrow what it leaves', async () => {
      await fresh(even)
      const desk = { source: { name: 'desk', units: 100 } }
      expect(await verdictOf(100, 'live', desk)).toBe('send')
      expect(await verdictOf(140, 'live', desk)).toBe('send')
      expect(await verdictOf(1, 'live', desk)).toBe('quota')
      expect(await verdictOf(120, 'live')).toBe('send')
    })

    it('a span in which nothing went lets one attempt go, however small the quota', async () => {
      await fresh({ ...even, quotaLimit: 10 })
      expect(await verdictOf(5)).toBe('send')
      expect(await asked(1)).toMatchObject({ verdict: 'quota', retryAtMs: startMs + 1_000 })
      bench.nowMs += 1_000
      expect(await verdictOf(5, 'replay')).toBe('send')
      bench.nowMs += 1_000
      expect(await verdictOf(1)).toBe('quota')
    })

    it('decides a batch in order, and a smaller request may still fit', async () => {
      await fresh(even)
      const batch = [350, 100, 50].map((units) => request(at(0), { units, visitorHash: unique() }))
      const answers = await bench.ledger.admit(batch, 'replay')
      expect(answers.map((answer) => answer.event === 'open' && answer.verdicts[0])).toEqual(['send', 'quota', 'send'])
    })

    it('what is given back, or cancelled, makes room in its span', async () => {
      await fresh(even)
      const first = await asked(400)
      expect(await verdictOf(1)).toBe('quota')
      await settle(first.one, 'delivered', { giveBack: { bucket: first.bucket, units: 150 } })
      const second = await asked(150)
      expect(second.verdict).toBe('send')
      expect(await verdictOf(1)).toBe('quota')
      await bench.ledger.cancel([second.one])
      expect(await verdictOf(150)).toBe('send')
    })

    it('never lets more pass than the quota alone', async () => {
      await fresh({ ...even, quotaLimit: 100 })
      for (let span = 0; span < 24; span++) {
        bench.nowMs = startMs + span * 1_000
        await asked(20)
      }
      expect((await bench.ledger.usage()).used).toBeLessThanOrEqual(100)
      expect(await verdictOf(20)).toBe('quota')
    })
  })
}
