/** Updates whose attributes have different fates: what is kept of them and what the sender is told (G2, G8). */
import { describe, expect, it } from 'vitest'
import { fateOf } from '../../../src/core/delivery/fate.ts'
import { stampArrivalMs, stampTimeMs } from '../../../src/core/update/stamp.ts'
import { createWorld, type TargetAnswer } from '../../support/world.ts'

const refused: TargetAnswer = { kind: 'refused', message: 'no', own: true }
const large = 'x'.repeat(40_000)

it.each([
  ['not its last try', false, false, 'sent_unknown'],
  ['its last try, with others', true, true, 'sent_unknown'],
  ['its last try, alone', false, true, 'sent_denied'],
] as const)('a denial is a verdict on one event alone: %s', (_, together, lastTry, fate) => {
  expect(fateOf({ kind: 'misconfigured', status: 403 }, false, together, lastTry)).toBe(fate)
  expect(fateOf({ kind: 'unavailable', status: 500 }, false, together, lastTry)).toBe('sent_unknown')
})

describe('an update that takes two calls', () => {
  it.each<[string, TargetAnswer | undefined, string, number, readonly string[]]>([
    ['one of which is refused: it is rejected, and only that part is set aside', refused, 'rejected', 0, ['rejected']],
    [
      'one of which gets no answer: it is deferred, and only that part is kept',
      { kind: 'unanswered', why: 'network' },
      'deferred',
      1,
      [],
    ],
    ['both of which are accepted: it is submitted', undefined, 'submitted', 0, []],
  ])('%s', async (_, answer, status, entries, dead) => {
    const world = await createWorld()
    world.target.behave = (_call, pairs) => (pairs.has('second') ? answer : undefined)
    const [receipt] = await world.deliver([await world.update({ attributes: { first: large, second: large } })])
    expect(receipt?.status).toBe(status)
    expect(world.target.calls).toHaveLength(2)
    expect(await world.dead()).toEqual(dead)
    const kept = (await world.backlog.list()).items
    expect(kept).toHaveLength(entries)
    for (const item of kept) expect(item).toMatchObject({ entry: { attributes: [{ name: 'second' }] } })
  })
})

it('an update is rejected if Target refuses what is left of it, after the rest was delivered earlier', async () => {
  const world = await createWorld()
  const nowMs = world.clock.now()
  await world.deliver([await world.update({ attributes: { tier: 'newer' }, occurredAt: nowMs - 1_000 })])
  await world.settled()
  world.target.behave = () => refused
  const older = await world.update({ attributes: { tier: 'older', city: 'x' }, occurredAt: nowMs - 2_000 })
  expect(await world.deliver([older])).toMatchObject([{ status: 'rejected', detail: 'no' }])
  expect((await world.backlog.listDead()).items).toMatchObject([
    { dead: { reason: 'rejected', entry: { attributes: [{ name: 'city' }] } } },
  ])
})

it('a refusal that does not come from Target itself says nothing about an earlier try: an older value still waits (G3)', async () => {
  const world = await createWorld()
  const nowMs = world.clock.now()
  const newer = await world.update({ attributes: { tier: 'newer' }, occurredAt: nowMs - 1_000 })
  world.target.behave = () => ({ kind: 'unanswered', why: 'network' })
  expect(await world.deliver([newer])).toMatchObject([{ status: 'deferred' }])
  await world.settled()
  await world.clock.advance(60_000)
  // The first try may have been applied; the second is refused by something in front of Target.
  world.target.behave = () => ({ kind: 'refused', message: 'no', own: false })
  await world.flush()
  await world.clock.advance(60_000)
  world.target.behave = () => undefined
  const older = await world.update({ attributes: { tier: 'older' }, occurredAt: nowMs - 2_000 })
  expect(await world.deliver([older])).toMatchObject([{ status: 'deferred' }])
})

describe('what is kept of an update', () => {
  it('records when it arrived, not when it happened: its waiting time counts from its arrival', async () => {
    const world = await createWorld({ settings: { quotaLimit: 0 } })
    const nowMs = world.clock.now()
    const update = await world.update({ attributes: { tier: 'gold' }, occurredAt: nowMs - 3_600_000 })
    await world.deliver([update])
    expect([stampTimeMs(update.stamp), stampArrivalMs(update.stamp)]).toEqual([nowMs - 3_600_000, nowMs])
    expect((await world.backlog.list()).items).toMatchObject([{ entry: { firstSeenMs: nowMs, stamp: update.stamp } }])
  })

  it('while Target is slow contains nothing that was erased meanwhile (G8)', async () => {
    const world = await createWorld()
    const erased = await world.update({ attributes: { tier: 'gold' } })
    await world.clock.advance(1)
    await world.ledger.erase(erased.visitorHash)
    const other = await world.update({ visitor: { thirdPartyId: 'visitor-2' }, attributes: { tier: 'gold' } })
    const slow = world.isolate({ target: { send: () => new Promise(() => {}) } })
    const answer = slow.deliver([erased, other])
    await world.clock.advance(3_000)
    expect((await answer).map(({ status }) => status)).toEqual(['duplicate', 'deferred'])
    expect((await world.backlog.list()).items).toMatchObject([{ entry: { visitorHash: other.visitorHash } }])
  })
})

describe('units of the quota', () => {
  it.each<TargetAnswer>([
    { kind: 'delivered' },
    refused,
    { kind: 'refused', message: 'status 404', own: false },
    { kind: 'disbelieved' },
    { kind: 'misconfigured', status: 403 },
    { kind: 'unavailable', status: 503 },
    { kind: 'unanswered', why: 'timeout' },
  ])('stay spent for a call that was made, whatever its outcome: %j (G1)', async (answer) => {
    const world = await createWorld()
    world.target.behave = () => answer
    await world.deliver([await world.update({ attributes: { tier: 'gold' } })])
    await world.settled()
    expect([world.target.calls.length, (await world.ledger.usage()).used]).toEqual([1, 1])
  })

  it('of a call that was not made are also given back to the share of its source (G7)', async () => {
    // The bulk lane's ceiling is 40: above it a source is only admitted within its share.
    const world = await createWorld({ settings: { quotaLimit: 100, replayReserve: 0.2 }, shares: { crm: 1 } })
    for (let n = 0; n < 45; n++)
      await world.deliver([await world.update({ visitor: { thirdPartyId: `other-${n}` }, attributes: { tier: 'x' } })])
    const late = world.isolate({
      ledger: {
        ...world.ledger,
        admit: async (requests, lane) => {
          const admissions = await world.ledger.admit(requests, lane)
          await world.clock.advance(2_001)
          return admissions
        },
      },
    })
    const update = (id: string) => world.update({ visitor: { thirdPartyId: id }, attributes: { tier: 'x' } }, 'crm')
    expect(await late.deliver([await update('a')])).toEqual([{ status: 'deferred', reason: 'slow' }])
    await late.settled()
    expect(await world.deliver([await update('b')])).toMatchObject([{ status: 'submitted' }])
    expect(await world.deliver([await update('c')])).toEqual([{ status: 'deferred', reason: 'quota' }])
  })
})

describe('a settle that fails', () => {
  it('is retried once before the update is kept for the flush', async () => {
    const world = await createWorld()
    let settles = 0
    const failing = world.isolate({
      ledger: {
        ...world.ledger,
        settle: (settlements, counts) =>
          ++settles === 1 ? Promise.reject(new Error('silent')) : world.ledger.settle(settlements, counts),
      },
    })
    expect(await failing.deliver([await world.update({ id: 'once', attributes: { tier: 'gold' } })])).toMatchObject([
      { status: 'submitted' },
    ])
    await failing.settled()
    expect([settles, await world.entries()]).toEqual([2, 0])
    expect(await world.deliver([await world.update({ id: 'once', attributes: { tier: 'gold' } })])).toEqual([
      { status: 'duplicate' },
    ])
  })
})
