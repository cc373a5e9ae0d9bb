/** A visitor with very many attributes costs other visitors nothing: rows and steps stay bounded in size. */

import { afterAll, describe, expect, it } from 'vitest'
import type { MovedState } from '../../src/core/ledger/moved.ts'
import type { AdmitRequest, Ledger } from '../../src/core/ledger/port.ts'
import { type LedgerSettings, maxBatch } from '../../src/core/ledger/rules/settings.ts'
import { requestsPerSweep } from '../../src/core/ledger/sql/lifetimes.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { at, contractSettings } from './ledger.ts'

export interface LargeLedger {
  readonly ledger: Ledger
  /** How many rows or hashes of visitors there are, and the bytes and registers in the largest one. */
  measure(): Promise<{ readonly rows: number; readonly bytes: number; readonly registers: number }>
}

const startMs = 1_790_000_000_000
const attributes = 20_000
const together = defaultLimits.attributesPerAttempt
/** The bound of a row or hash, far below the 2 MB of a Durable Object's row. */
const maxRowBytes = 400_000

export function largeVisitorContract(
  name: string,
  make: (settings: LedgerSettings, clock: { now: () => number }) => Promise<LargeLedger>,
  dispose?: () => Promise<void>,
): void {
  describe(`a visitor with ${attributes} attributes: ${name}`, () => {
    afterAll(() => dispose?.())
    const settings = { ...contractSettings, quotaLimit: 100_000 }
    const names = Array.from({ length: attributes }, (_, n) => `attribute of a long name, number ${n}`)
    const chunks = Array.from({ length: attributes / together }, (_, n) =>
      names.slice(n * together, (n + 1) * together),
    )
    const request = (visitorHash: string, some: readonly string[], ms: number): AdmitRequest => ({
      visitorHash,
      attributes: some.map((one) => ({ name: one, stamp: at(ms) })),
      units: 1,
      token: `token of ${visitorHash} ${some[0]} ${ms}`,
    })
    const verdicts = async (ledger: Ledger, one: AdmitRequest) => {
      const [answer] = await ledger.admit([one], 'live')
      return answer?.event === 'open' ? [...new Set(answer.verdicts)] : answer?.event
    }
    const fill = async (ledger: Ledger, visitor: string, outcome: 'delivered' | 'unknown' = 'delivered') => {
      for (const some of chunks) {
        const one = request(visitor, some, 10)
        expect(await verdicts(ledger, one)).toEqual(['send'])
        await ledger.settle([
          {
            visitorHash: visitor,
            token: one.token,
            attributes: one.attributes.map((attribute) => ({ ...attribute, outcome })),
          },
        ])
      }
    }

    it('is admitted, settled, listed, moved and erased in steps and in rows of bounded size; others are not affected', async () => {
      let nowMs = startMs
      const clock = { now: () => nowMs }
      const { ledger, measure } = await make(settings, clock)
      await fill(ledger, 'large')
      const { bytes, registers } = await measure()
      expect(bytes).toBeLessThan(maxRowBytes)
      expect(registers).toBeLessThanOrEqual(defaultLimits.registersPerPage)
      // Another visitor, before and after it in one batch.
      const others = Array.from({ length: maxBatch - 1 }, (_, n) => request(`other-${n}`, ['tier'], 10))
      const answers = await ledger.admit(
        [...others.slice(0, 50), request('large', chunks[0] ?? [], 5), ...others.slice(50)],
        'live',
      )
      expect(answers.filter((answer) => answer.event === 'open' && answer.verdicts.includes('send'))).toHaveLength(
        maxBatch - 1,
      )
      for (const some of [chunks[0], chunks[1], chunks.at(-1)]) {
        expect(await verdicts(ledger, request('large', some ?? [], 5))).toEqual(['superseded'])
        expect(await verdicts(ledger, request('large', some ?? [], 10))).toEqual(['delivered'])
      }
      // The list of its attributes is truncated.
      const listed = await ledger.visitor('large')
      expect(listed).toHaveLength(defaultLimits.attributesListed)
      expect(new Set(listed.map((one) => one.name)).size).toBe(defaultLimits.attributesListed)

      const { ledger: other, measure: measureOther } = await make(settings, clock)
      const moved = new Set<string>()
      for (let cursor: string | undefined; ; ) {
        const out = await (cursor === undefined ? ledger.moveOut() : ledger.moveOut(cursor))
        expect(out.part.visitors.flatMap((visitor) => visitor.registers).length).toBeLessThanOrEqual(
          5 * defaultLimits.registersPerPart,
        )
        for (const { hash, registers } of out.part.visitors)
          for (const one of registers) if (hash === 'large') moved.add(one.name)
        await other.moveIn(JSON.parse(JSON.stringify(out.part)) as MovedState)
        cursor = out.cursor
        if (cursor === undefined) break
      }
      expect(moved.size).toBe(attributes)
      expect((await measureOther()).registers).toBeLessThanOrEqual(defaultLimits.registersPerPage)
      for (const some of chunks.slice(0, 100).filter((_, n) => n % 9 === 0))
        expect(await verdicts(other, request('large', some, 5))).toEqual(['superseded'])
      expect(await verdicts(other, request('other-3', ['tier'], 5))).toEqual(['waits'])

      nowMs += 20
      await ledger.erase('large')
      expect(await ledger.visitor('large')).toEqual([])
      // Those of the other visitors, and one that remembers the erasure.
      expect((await measure()).rows).toBe(others.length + 1)
      expect(await verdicts(ledger, request('large', chunks[3] ?? [], 12))).toEqual(['erased'])
      expect(await verdicts(ledger, request('large', chunks[3] ?? [], 30))).toEqual(['send'])
    }, 60_000)

    it('a visitor that stays active loses expired registers and keeps the others', async () => {
      let nowMs = startMs
      const { ledger, measure } = await make(settings, { now: () => nowMs })
      const lifeMs = settings.retentionMs + settings.quotaSlackMs + settings.inFlightMs
      const deliver = async (some: readonly string[], ms: number) => {
        const one = request('active', some, ms)
        expect(await verdicts(ledger, one)).toEqual(['send'])
        await ledger.settle([
          {
            visitorHash: 'active',
            token: one.token,
            attributes: one.attributes.map((attribute) => ({ ...attribute, outcome: 'delivered' as const })),
          },
        ])
      }
      const size = defaultLimits.registersPerPage
      await deliver(names.slice(0, size), 0)
      // Names that did not fit in the head.
      await deliver(['kept'], 1)
      const laterMs = 3 * lifeMs + 10
      nowMs += laterMs
      await deliver(['always'], laterMs)
      expect(await verdicts(ledger, request('active', ['always'], laterMs - 1))).toEqual(['superseded'])
      expect((await ledger.visitor('active')).map((one) => one.name)).toEqual(['always'])
      nowMs += 1
      await deliver(['new'], laterMs + 1)
      // 256 registers are gone; the head holds the new ones.
      expect((await measure()).registers).toBeLessThanOrEqual(3)
    })

    it('a clock that runs ahead for a moment does not make the ledger forget', async () => {
      let nowMs = startMs
      const { ledger } = await make(settings, { now: () => nowMs })
      const one = { ...request('v', names.slice(0, 300), 10), event: 'an event' }
      expect(await verdicts(ledger, one)).toEqual(['send'])
      await ledger.settle([
        {
          visitorHash: 'v',
          token: one.token,
          attributes: one.attributes.map((attribute) => ({ ...attribute, outcome: 'delivered' as const })),
          eventDone: one.event,
        },
      ])
      const aheadMs = 1.9 * (settings.retentionMs + settings.quotaSlackMs + settings.inFlightMs)
      nowMs += aheadMs
      expect(await verdicts(ledger, request('v', ['new', ...names.slice(0, 2)], aheadMs))).toEqual(['send'])
      for (let n = 0; n < requestsPerSweep; n++)
        expect(await verdicts(ledger, request(`w${n}`, ['new'], aheadMs))).toEqual(['send'])
      nowMs = startMs + 100
      await ledger.confirmClock()
      nowMs += settings.longestInFlightMs + 1
      expect(await verdicts(ledger, request('v', names.slice(2, 300), 5))).toEqual(['superseded'])
      expect(await verdicts(ledger, { ...request('v', ['tier'], 20), event: one.event })).toBe('duplicate')
    })
  })
}
