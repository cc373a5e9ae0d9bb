/** The witness of the `LEDGER` object, in KV: whichever step fails, an epoch that began is never forgotten (G1). */
import { describe, expect, it } from 'vitest'
import type { Testimony } from '../../../../src/core/ledger/loss/epoch.ts'
import { kvWitness } from '../../../../src/core/ledger/loss/witness.ts'
import type { Kv } from '../../../../src/core/store/kv.ts'
import { fakeClock, seededRandom } from '../../../support/clock.ts'
import { fakeKv } from '../../../support/fake-kv.ts'

const first: Testimony = { epoch: 'e1', state: 'first', granted: 0 }
const steady: Testimony = { epoch: 'e1', state: 'steady', granted: 0 }
const lost: Testimony = { epoch: 'e2', state: 'lost', granted: 0, after: 'e1' }

function witnessIn(kv: Kv, clock = fakeClock()) {
  return { clock, witness: kvWitness(kv, { now: clock.now, randomHex: seededRandom(1).hex }) }
}

describe('a witness in KV', () => {
  it('knows nothing at first, then what was put last', async () => {
    const clock = fakeClock()
    const { witness } = witnessIn(fakeKv({ now: clock.now }), clock)
    expect(await witness.read()).toBeUndefined()
    expect(await witness.replace(undefined, first)).toEqual(first)
    await clock.advance(1)
    expect(await witness.replace(first, steady)).toEqual(steady)
    expect(await witness.read()).toEqual(steady)
    await clock.advance(1)
    await witness.replace(steady, lost)
    expect(await witness.read()).toEqual(lost)
  })

  it('keeps one testimony, not one for each epoch', async () => {
    const clock = fakeClock()
    const kv = fakeKv({ now: clock.now })
    const { witness } = witnessIn(kv, clock)
    for (const [seen, next] of [
      [undefined, first],
      [first, steady],
      [steady, lost],
    ] as const) {
      await witness.replace(seen, next)
      await clock.advance(1)
    }
    expect((await kv.list({ prefix: '' })).keys).toHaveLength(1)
  })

  it('uses the newest testimony if the older one could not be deleted', async () => {
    const clock = fakeClock()
    const kv = fakeKv({ now: clock.now })
    const { witness } = witnessIn({ ...kv, delete: () => Promise.reject(new Error('KV DELETE failed: 503')) }, clock)
    await witness.replace(undefined, steady)
    await clock.advance(1)
    await expect(witness.replace(steady, lost)).rejects.toThrow('503')
    expect(await witness.read()).toEqual(lost)
  })

  it('keeps the older testimony if the next one could not be put', async () => {
    const clock = fakeClock()
    const kv = fakeKv({ now: clock.now })
    const { witness } = witnessIn(kv, clock)
    await witness.replace(undefined, steady)
    await clock.advance(1)
    kv.failPuts = 1
    await expect(witness.replace(steady, lost)).rejects.toThrow('503')
    expect(await witness.read()).toEqual(steady)
  })

  it('does not recognise a replaced epoch, since its grants are not stored', async () => {
    const clock = fakeClock()
    const { witness } = witnessIn(fakeKv({ now: clock.now }), clock)
    await witness.replace(undefined, steady)
    await clock.advance(1)
    await witness.replace(steady, { ...lost, base: -7, replaced: [{ epoch: 'e1', granted: 0, base: 0 }] })
    expect(await witness.read()).toEqual(lost)
  })

  it('does not store how much was granted: KV does not take a write each second', async () => {
    const clock = fakeClock()
    const kv = fakeKv({ now: clock.now })
    const { witness } = witnessIn(kv, clock)
    await witness.replace(undefined, steady)
    const [before] = (await kv.list({ prefix: '' })).keys
    expect(await witness.replace(steady, { ...steady, granted: 7 })).toEqual({ ...steady, granted: 7 })
    expect((await kv.list({ prefix: '' })).keys).toEqual([before])
  })
})
