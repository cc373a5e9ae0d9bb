/** Hashes that reveal nothing and that no two things share (G2, G3, G8). */
import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createHasher, hashKeyName } from '../../../src/core/update/hash.ts'

const key = 'a-hash-key-of-32-bytes-for-tests-only'
const hasher = await createHasher(key)
const hmac = (parts: readonly string[]) =>
  createHmac('sha256', key).update(JSON.stringify(parts)).digest('hex').slice(0, 32)

describe('hashes', () => {
  it('are the same as in earlier versions, so that what is in a backlog or a ledger is found', async () => {
    expect(await hasher.visitor({ pcId: 'a' })).toBe(hmac(['pcId', 'a']))
    expect(await hasher.visitor({ thirdPartyId: 'a' })).toBe(hmac(['thirdPartyId', 'a']))
    expect(await hasher.event('crm', 'evt_1')).toBe(hmac(['event', 'crm', 'evt_1']))
    expect(await hasher.content(['a', 'b'])).toBe(hmac(['content', 'a', 'b']))
  })

  it('the same event id of two sources gives two hashes', async () => {
    expect(await hasher.event('crm', '1')).not.toBe(await hasher.event('shop', '1'))
  })

  it('a pcId and a thirdPartyId with the same text differ', async () => {
    expect(await hasher.visitor({ pcId: '123' })).not.toBe(await hasher.visitor({ thirdPartyId: '123' }))
  })

  it('tells whether an attribute of a visitor has the value that it had, and nothing of others', async () => {
    const hash = await hasher.value('visitor', 'tier', 'gold')
    expect(hash).toBe(hmac(['value', 'visitor', 'tier', 'gold']).slice(0, 16))
    expect(await hasher.value('visitor', 'tier', 'gold')).toBe(hash)
    expect(await hasher.value('another', 'tier', 'gold')).not.toBe(hash)
    expect(await hasher.value('visitor', 'city', 'gold')).not.toBe(hash)
    expect(await hasher.value('visitor', 'tier', 'silver')).not.toBe(hash)
  })

  it('no two lists of parts have the same hash, however they are cut', async () => {
    const parts = fc.array(fc.string({ unit: fc.constantFrom('a', ':', ',', '"', '\\', '') }), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(parts, parts, async (one, other) => {
        const same = one.length === other.length && one.every((part, index) => part === other[index])
        expect((await hasher.content(one)) === (await hasher.content(other))).toBe(same)
      }),
    )
    expect(await hasher.event('a:b', 'c')).not.toBe(await hasher.event('a', 'b:c'))
  })

  it('another key gives other hashes, and has another name itself', async () => {
    const other = await createHasher(`${key}!`)
    expect(await other.visitor({ pcId: 'a' })).not.toBe(await hasher.visitor({ pcId: 'a' }))
    expect(await hashKeyName(other)).not.toBe(await hashKeyName(hasher))
    expect(await hashKeyName(hasher)).toMatch(/^[0-9a-f]{32}$/)
  })
})
