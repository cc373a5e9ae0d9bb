import { expect, it } from 'vitest'
import { encodeHex } from '../../src/core/hex.ts'

it('writes each byte as two lower-case digits', () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
  expect(encodeHex(all)).toBe(Buffer.from(all).toString('hex'))
  expect(encodeHex(all.subarray(9, 12))).toBe('090a0b')
  expect(encodeHex(new Uint8Array())).toBe('')
})
