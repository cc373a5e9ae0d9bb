/** An entry remembers why it was deferred, and a put-back why it is still there (G9). */
import { describe, expect, it } from 'vitest'
import { createWorld, type World } from '../../support/world.ts'

async function reasons(world: World): Promise<readonly (string | undefined)[]> {
  return (await world.backlog.list()).items.map((item) => ('entry' in item ? item.entry.reason : 'unreadable'))
}

describe('the reason of a deferral lies in the entry', () => {
  it('as the sender was told it', async () => {
    const world = await createWorld()
    await world.ledger.pause(true)
    const [receipt] = await world.deliver([await world.update({ attributes: { tier: 'gold' } })])
    expect(receipt).toEqual({ status: 'deferred', reason: 'paused' })
    expect(await reasons(world)).toEqual(['paused'])
  })

  it('where the ledger was silent, and where a delay holds it', async () => {
    const world = await createWorld()
    const silent = { ...world.ledger, admit: () => Promise.reject(new Error('silent')) }
    await world.isolate({ ledger: silent }).deliver([await world.update({ attributes: { tier: 'gold' } })])
    await world.deliver([await world.update({ attributes: { tier: 'blue' } }, 'shop', 60_000)])
    expect((await reasons(world)).toSorted()).toEqual(['delayed', 'ledger_unavailable'])
  })

  it('where Target was slow, and where the settle failed', async () => {
    const world = await createWorld()
    world.target.behave = () => world.clock.advance(3_000).then(() => ({ kind: 'delivered' }))
    const delivered = world.deliver([await world.update({ attributes: { tier: 'gold' } })])
    expect(await delivered).toEqual([{ status: 'deferred', reason: 'slow' }])
    await world.settled()
    expect(await reasons(world)).toEqual(['slow'])
    const other = await createWorld()
    const settling = other.isolate({ ledger: { ...other.ledger, settle: () => Promise.reject(new Error('silent')) } })
    await settling.deliver([await other.update({ attributes: { tier: 'gold' } })])
    await settling.settled()
    expect(await reasons(other)).toEqual(['ledger_unavailable'])
  })

  it('a put-back has the reason of what is still open of it', async () => {
    const world = await createWorld({ limits: { attributesPerAttempt: 1 } })
    await world.ledger.pause(true)
    await world.deliver([await world.update({ attributes: { tier: 'gold' } })])
    await world.ledger.pause(false)
    const [kept] = (await world.backlog.list()).items
    if (kept === undefined || !('entry' in kept)) throw new Error('nothing was kept')
    // One of an older version, of two attributes: each is an attempt of its own, and Target fails on the second.
    await world.backlog.delete(kept.key)
    await world.backlog.put({ ...kept.entry, attributes: [...kept.entry.attributes, { name: 'shoe', value: '43' }] })
    world.target.behave = (_, pairs) => (pairs.has('shoe') ? { kind: 'unavailable', status: 503 } : undefined)
    await world.flush()
    const { items } = await world.backlog.list()
    expect(items).toMatchObject([{ entry: { reason: 'target_unavailable', attributes: [{ name: 'shoe' }] } }])
  })
})
