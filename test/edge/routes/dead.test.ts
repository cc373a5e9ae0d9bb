/** The operators' routes about dead letters. */
import { describe, expect, it } from 'vitest'
import { adminOf, logged } from '../../support/admin.ts'
import { createWorld } from '../../support/world.ts'

describe('dead letters', () => {
  const buried = async () => {
    const world = await createWorld()
    const { visitor, visitorHash, stamp } = await world.update({ attributes: { tier: 'canary' } })
    const key = await world.backlog.bury({
      reason: 'rejected',
      source: 'api',
      atMs: world.clock.now(),
      firstSeenMs: world.clock.now(),
      attempts: 1,
      entry: {
        visitor,
        visitorHash,
        attributes: [{ name: 'tier', value: 'canary' }],
        stamp,
        source: 'api',
        firstSeenMs: world.clock.now(),
      },
    })
    return { ask: await adminOf(world), key, visitorHash }
  }

  it('are listed and read, values masked; to reveal them is on record (G8, G9)', async () => {
    const { ask, key, visitorHash } = await buried()
    const get = { method: 'GET' }
    const { answer } = await ask('/dead?reason=rejected&source=api', get)
    expect(answer).toMatchObject({ letters: [{ key, visitor: visitorHash }] })
    expect((await ask(`/dead?visitor=${visitorHash}&before=2100-01-01T00:00:00Z`, get)).answer).toEqual(answer)
    expect((await ask(`/dead?visitor=${'0'.repeat(32)}`, get)).answer).toEqual({ letters: [] })
    expect((await ask('/dead/list', { body: { visitor: { thirdPartyId: 'visitor-1' } } })).answer).toEqual(answer)
    expect((await ask('/dead/list', { body: { visitor: { thirdPartyId: 'visitor-2' } } })).answer).toEqual({
      letters: [],
    })
    logged.length = 0
    expect(JSON.stringify((await ask(`/dead/${key}`, get)).answer)).not.toContain('canary')
    expect(logged).toEqual([])
    expect(JSON.stringify((await ask(`/dead/${key}?reveal=1`, get)).answer)).toContain('canary')
    expect((await ask('/audit', get)).answer).toMatchObject({ acts: [{ what: 'dead_reveal', details: { key } }] })
  })

  it('a plan says until when it is through, and how much of it is counted (G9)', async () => {
    const { ask } = await buried()
    const { answer } = await ask('/dead/plan', { body: { action: 'replay', filter: {} } })
    expect(answer).toMatchObject({ letters: 1, updates: 1, calls: 1, superseded: 0, sampled: 1, complete: true })
    expect(answer).not.toHaveProperty('estimated')
    expect(Date.parse(String(answer['doneBy']))).toBeGreaterThan(0)
    const plan = String(answer['plan'])
    expect((await ask(`/dead/plans/${plan}`, { method: 'GET' })).answer).toMatchObject({ doneBy: answer['doneBy'] })
    await ask('/dead/run', { body: { plan } })
    const after = (await ask(`/dead/plans/${plan}`, { method: 'GET' })).answer
    expect(after).toMatchObject({ state: 'done', done: 1 })
    expect(after).not.toHaveProperty('doneBy')
    const drop = (await ask('/dead/plan', { body: { action: 'drop', filter: {} } })).answer
    expect(drop).not.toHaveProperty('doneBy')
    expect(drop).not.toHaveProperty('superseded')
  })

  it('a run is on record once, however often one asks how far it is; a plan that has ended says so (G9)', async () => {
    const world = await createWorld()
    const ask = await adminOf(world)
    const plan = async () => String((await ask('/dead/plan', { body: { action: 'drop', filter: {} } })).answer['plan'])
    const runs = async () => {
      const { acts } = (await ask('/audit', { method: 'GET' })).answer as { acts: { what: string }[] }
      return acts.filter(({ what }) => what === 'dead_run').length
    }
    const one = await plan()
    for (let n = 0; n < 3; n++)
      expect((await ask('/dead/run', { body: { plan: one } })).answer).toMatchObject({ state: 'done' })
    expect(await runs()).toBe(1)
    const late = await plan()
    await world.clock.advance(86_400_000)
    expect(await ask('/dead/run', { body: { plan: late } })).toMatchObject({
      status: 404,
      answer: { detail: expect.stringMatching(/^The plan ended at 20.*: make a new one\.$/) },
    })
  })

  it.each([
    ['/dead?cursor=x', 400],
    ['/dead?cursor=d1/', 400],
    ['/dead?cursor=b1/1', 400],
    ['/dead?reason=odd', 400],
    ['/dead?limit=0', 400],
    ['/dead?thirdPartyId=visitor-1', 400],
    ['/dead?visitor=visitor-1', 400],
    ['/dead?before=yesterday', 400],
    ['/dead/d1/0000000000001-0000000000000000', 404],
    ['/dead/d1/0000000000001-0000000000000000?reveal=yes', 400],
    ['/dead/b1/0000000000001-0000000000000000', 404],
  ])('GET %s: %i', async (path, status) => {
    const { ask } = await buried()
    expect((await ask(path, { method: 'GET' })).status).toBe(status)
  })
})
