import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { Entry } from '../../../src/core/backlog/port.ts'
import { createSeal } from '../../../src/core/backlog/seal.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { plainSeal, ringKey, sealWith } from '../../support/seal.ts'

const packed = { v: 1, a: [['tier', 'planted-value']] }
const key = 'b1/00ff/t1'

describe('encryption at rest (G8)', () => {
  it('sealed data reveals nothing, can be opened, and never looks the same twice', async () => {
    const seal = await sealWith('k1')
    const [one, other] = [await seal.seal(packed, key), await seal.seal(packed, key)]
    expect(JSON.stringify(one)).not.toContain('planted')
    expect(JSON.stringify(one)).not.toContain('tier')
    expect(one).not.toEqual(other)
    expect(await seal.open(one, key)).toEqual(packed)
  })

  it.each([
    ['under another key of the store', async (sealed: object) => [sealed, 'b1/00ff/t2'] as const],
    [
      'with a bit changed',
      async (sealed: object) => [{ ...sealed, c: flip((sealed as { c: string }).c) }, key] as const,
    ],
    ['cut short', async (sealed: object) => [{ ...sealed, c: (sealed as { c: string }).c.slice(0, 12) }, key] as const],
    ['not base64', async (sealed: object) => [{ ...sealed, c: '***' }, key] as const],
    ['under the name of another key', async (sealed: object) => [{ ...sealed, k: 'k2' }, key] as const],
    ['under a key that is not in the ring', async (sealed: object) => [{ ...sealed, k: 'gone' }, key] as const],
  ])('%s it cannot be opened', async (_, change) => {
    const seal = await sealWith('k1', 'k2x')
    const [sealed, at] = await change(await seal.seal(packed, key))
    expect(await seal.open(sealed, at)).toBeUndefined()
  })

  it('keys are rotated: the first one encrypts, all decrypt, and a removed one no longer does', async () => {
    const old = await (await sealWith('a')).seal(packed, key)
    const rotated = await sealWith('b', 'a')
    expect(await rotated.seal(packed, key)).toMatchObject({ k: 'b' })
    expect(await rotated.open(old, key)).toEqual(packed)
    expect(await (await sealWith('b')).open(old, key)).toBeUndefined()
  })

  it('a key with the same name but other bytes opens nothing', async () => {
    const sealed = await (await sealWith('a')).seal(packed, key)
    const other = await createSeal([ringKey('a', 7)], (bytes) => new Uint8Array(bytes))
    expect(await other.open(sealed, key)).toBeUndefined()
  })

  it('entries written before keys were set stay readable; one that can’t be read is left and reported', async () => {
    const random = seededRandom(5)
    const kv = fakeKv({ now: () => 0 })
    const stamp = makeStamp(1_790_000_000_000, 1_790_000_000_000, '0'.repeat(16))
    const entry: Entry = {
      visitor: { thirdPartyId: 'planted-id' },
      visitorHash: 'aa',
      attributes: [{ name: 'tier', value: 'planted-value' }],
      stamp,
      source: 'api',
      firstSeenMs: 0,
    }
    await kvBacklog(kv, { randomHex: random.hex, seal: plainSeal }).put(entry)
    const sealing = kvBacklog(kv, { randomHex: random.hex, seal: await sealWith('k1') })
    await sealing.put(entry)
    expect((await sealing.list()).items).toMatchObject([{ entry }, { entry }])
    const blind = kvBacklog(kv, { randomHex: random.hex, seal: plainSeal })
    expect((await blind.list()).items.filter((item) => 'unreadable' in item)).toHaveLength(1)
    const dead = { reason: 'rejected', source: 'api', atMs: 1, firstSeenMs: 1, attempts: 1, entry } as const
    await sealing.bury(dead)
    expect((await sealing.listDead()).items).toMatchObject([{ dead }])
    const raw = await kv.list({ prefix: '' })
    const values = await kv.get(raw.keys.map(({ name }) => name))
    const sealedOnly = raw.keys.filter(({ metadata }) => (metadata as { v?: number } | undefined)?.v !== 1)
    expect(JSON.stringify([sealedOnly, [...values.values()]])).not.toContain('planted')
  })
})

function flip(text: string): string {
  const last = text.at(-5) === 'A' ? 'B' : 'A'
  return text.slice(0, -5) + last + text.slice(-4)
}
