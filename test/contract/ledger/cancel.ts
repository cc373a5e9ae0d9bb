/** An admission whose caller has given up is undone. */
import { describe, expect, it } from 'vitest'
import { at, type Bench } from './bench.ts'

export function cancelContract(bench: Bench): void {
  const { request, verdict, settle, sent, used, aged } = bench

  describe('a cancelled admission', () => {
    it('gives its units back and reopens what was open below it, once', async () => {
      await settle(await sent(at(0)), 'unknown')
      aged()
      const given = await sent(at(5), { units: 7, source: { name: 'kiosk', units: 50 } })
      const before = await used()
      expect([await bench.ledger.cancel([given]), await bench.ledger.cancel([given])]).toEqual([7, 0])
      expect(await used()).toBe(before - 7)
      expect(await bench.ledger.visitor(bench.visitor)).toEqual([{ name: 'tier', open: at(0) }])
      expect(await verdict(at(3))).toBe('send')
    })

    it('is void if it arrives after its cancel, and does not affect another attempt', async () => {
      const other = await sent(at(0))
      const late = request(at(5))
      expect(await bench.ledger.cancel([late])).toBe(0)
      aged()
      await expect(bench.ledger.admit([late, request(at(6))], 'live')).rejects.toThrow('cancelled')
      expect(await used()).toBe(other.units)
      expect(await verdict(at(7))).toBe('send')
    })
  })
}
