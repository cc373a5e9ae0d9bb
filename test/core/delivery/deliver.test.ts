import { describe, expect, it } from 'vitest'
import type { Receipt } from '../../../src/core/delivery/receipt.ts'
import { ClockJumped } from '../../../src/core/ledger/errors.ts'
import type { Ledger } from '../../../src/core/ledger/port.ts'
import type { Verdict } from '../../../src/core/ledger/rules/register.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { settleMicrotasks } from '../../support/clock.ts'
import { createWorld, type TargetAnswer } from '../../support/world.ts'

const one = { id: 'evt-1', attributes: { status: 'gold' } }

describe('live: Target’s answer decides the receipt and where the update is kept (G2)', () => {
  const table: { answer: TargetAnswer; receipt: Receipt; entries: number; dead: string[] }[] = [
    { answer: { kind: 'delivered' }, receipt: { status: 'submitted', calls: 1 }, entries: 0, dead: [] },
    {
      answer: { kind: 'refused', message: 'no', own: true },
      receipt: { status: 'rejected', detail: 'no' },
      entries: 0,
      dead: ['rejected'],
    },
    {
      answer: { kind: 'disbelieved' },
      receipt: { status: 'deferred', reason: 'target_unavailable' },
      entries: 1,
      dead: [],
    },
    {
      answer: { kind: 'misconfigured', status: 403 },
      receipt: { status: 'deferred', reason: 'target_unavailable' },
      entries: 1,
      dead: [],
    },
    {
      answer: { kind: 'unavailable', status: 503 },
      receipt: { status: 'deferred', reason: 'target_unavailable' },
      entries: 1,
      dead: [],
    },
    {
      answer: { kind: 'unanswered', why: 'network' },
      receipt: { status: 'deferred', reason: 'target_unavailable' },
      entries: 1,
      dead: [],
    },
  ]
  it.each(table)('$answer.kind', async ({ answer, receipt, entries, dead }) => {
    const world = await createWorld()
    world.target.behave = () => answer
    expect(await world.deliver([await world.update(one)])).toEqual([receipt])
    expect(await world.entries()).toBe(entries)
    expect(await world.dead()).toEqual(dead)
    await world.settled()
    // Whether delivered, refused or durably deferred: the event is settled and a repeat costs nothing (G4).
    const again = receipt.status === 'rejected' ? 'rejected' : 'duplicate'
    expect(await world.deliver([await world.update(one)])).toEqual([{ status: again }])
    expect(world.target.calls).toHaveLength(1)
  })

  it('without quota nothing is sent and the update is deferred (G1)', async () => {
    const world = await createWorld({ settings: { quotaLimit: 0 } })
    expect(await world.deliver([await world.update(one)])).toEqual([{ status: 'deferred', reason: 'quota' }])
    expect(world.target.calls).toHaveLength(0)
    expect(await world.entries()).toBe(1)
  })

  it('an update stamped ahead of the ledger’s clock waits in the backlog until the clock has caught up (G3)', async () => {
    const world = await createWorld()
    const update = await world.update(one)
    const aheadMs = world.clock.now() + 86_400_000
    const ahead = { ...update, stamp: makeStamp(aheadMs, aheadMs, 'f'.repeat(16)) }
    expect(await world.deliver([ahead])).toEqual([{ status: 'deferred', reason: 'clock' }])
    await world.flush()
    expect([world.target.calls.length, await world.entries()]).toEqual([0, 1])
    await world.clock.advance(86_400_000 - 5 * 60_000)
    await world.flush()
    expect([world.target.calls.length, await world.entries()]).toEqual([1, 0])
  })

  it('the log says so if the ledger admits nothing because its clock jumped', async () => {
    const world = await createWorld()
    const off = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new ClockJumped(3_600_000)) } })
    expect(await off.deliver([await world.update(one)])).toEqual([{ status: 'deferred', reason: 'ledger_unavailable' }])
    expect(world.logged).toContain(JSON.stringify({ event: 'ledger_unavailable', updates: 1, error: 'ClockJumped' }))
  })

  it('if the put fails, the answer is unavailable and no event is marked as done (G2, G4)', async () => {
    const world = await createWorld({ settings: { quotaLimit: 0 } })
    const failing = world.isolate({
      backlog: { ...world.backlog, put: () => Promise.reject(new Error('KV PUT failed: 503')) },
    })
    expect(await failing.deliver([await world.update(one)])).toEqual([{ status: 'unavailable' }])
    await failing.settled()
    // While the first attempt is in flight, a repeat is told to come back. After that it is tried again: it is no duplicate.
    expect(await world.deliver([await world.update(one)])).toEqual([{ status: 'in_flight' }])
    await world.clock.advance(10_001)
    expect(await world.deliver([await world.update(one)])).toEqual([{ status: 'deferred', reason: 'quota' }])
  })

  it('the answer waits for the put: `deferred` is only answered once the entry is durable (G2)', async () => {
    const world = await createWorld({ settings: { quotaLimit: 0 } })
    let finishPut = () => {}
    const slow = world.isolate({
      backlog: {
        ...world.backlog,
        put: (entry) => new Promise((resolve) => (finishPut = () => resolve(world.backlog.put(entry)))),
      },
    })
    let answered = false
    const answer = slow.deliver([await world.update(one)]).then((receipts) => {
      answered = true
      return receipts
    })
    await settleMicrotasks()
    expect(answered).toBe(false)
    finishPut()
    expect(await answer).toEqual([{ status: 'deferred', reason: 'quota' }])
  })

  it('without an answer of the ledger nothing is sent: the update waits under its own stamp (G1: fails closed)', async () => {
    const world = await createWorld()
    const silent = { ...world.ledger, admit: () => Promise.reject(new Error('silent')) }
    expect(await world.isolate({ ledger: silent }).deliver([await world.update(one)])).toEqual([
      { status: 'deferred', reason: 'ledger_unavailable' },
    ])
    expect(world.target.calls).toHaveLength(0)
    const [item] = (await world.backlog.list()).items
    expect(item).toMatchObject({ entry: { blind: true } })
  })

  it('if Target is slow, the update is deferred at the deadline, while the call goes on and is settled', async () => {
    const world = await createWorld()
    let answerNow = (_: TargetAnswer) => {}
    world.target.behave = () => new Promise((resolve) => (answerNow = resolve))
    const receipts = world.deliver([await world.update(one)])
    await world.clock.advance(2_500)
    expect(await receipts).toEqual([{ status: 'deferred', reason: 'slow' }])
    expect(await world.entries()).toBe(1)
    answerNow({ kind: 'delivered' })
    await world.settled()
    world.target.behave = () => undefined
    const report = await world.flush()
    expect(report).toMatchObject({ calls: 0, superseded: 1 })
    expect(await world.entries()).toBe(0)
    expect(world.target.calls).toHaveLength(1)
  })

  it('a call that could not start within START is not made, and its units are given back (G1)', async () => {
    const world = await createWorld()
    const lateLedger: Ledger = {
      ...world.ledger,
      admit: async (requests, lane) => {
        const admissions = await world.ledger.admit(requests, lane)
        await world.clock.advance(2_001)
        return admissions
      },
    }
    expect(await world.isolate({ ledger: lateLedger }).deliver([await world.update(one)])).toEqual([
      { status: 'deferred', reason: 'slow' },
    ])
    expect(world.target.calls).toHaveLength(0)
    await settleMicrotasks()
    expect((await world.ledger.usage()).used).toBe(0)
  })

  it('if settle fails twice, the update stays in the backlog and the flush settles it without loss', async () => {
    const world = await createWorld()
    const broken = world.isolate({ ledger: { ...world.ledger, settle: () => Promise.reject(new Error('silent')) } })
    expect(await broken.deliver([await world.update(one)])).toEqual([{ status: 'submitted', calls: 1 }])
    await broken.settled()
    expect(await world.entries()).toBe(1)
    await world.clock.advance(10_001)
    await world.flush()
    expect(await world.entries()).toBe(0)
    expect(world.profile()).toEqual({ status: 'gold' })
  })
})

describe('live: newest wins (G3)', () => {
  it('an older event that arrives later is superseded and never sent', async () => {
    const world = await createWorld()
    const older = await world.update({ attributes: { tier: 'silver' }, occurredAt: world.clock.now() - 60_000 })
    const newer = await world.update({ attributes: { tier: 'gold' }, occurredAt: world.clock.now() - 1_000 })
    expect(await world.deliver([newer])).toEqual([{ status: 'submitted', calls: 1 }])
    await world.settled()
    expect(await world.deliver([older])).toEqual([{ status: 'superseded' }])
    expect(world.profile()).toEqual({ tier: 'gold' })
  })

  it('attributes are judged one by one: an older event still delivers what the newer one did not set', async () => {
    const world = await createWorld()
    const older = await world.update({
      attributes: { tier: 'silver', city: 'Oslo' },
      occurredAt: world.clock.now() - 60_000,
    })
    const newer = await world.update({ attributes: { tier: 'gold' }, occurredAt: world.clock.now() - 1_000 })
    await world.deliver([newer])
    await world.settled()
    expect(await world.deliver([older])).toEqual([{ status: 'submitted', calls: 1 }])
    expect(world.profile()).toEqual({ tier: 'gold', city: 'Oslo' })
  })

  it('two updates at once do not race: the second is deferred and delivered after the first', async () => {
    const world = await createWorld()
    const receipts = await world.deliver([
      await world.update({ id: 'a', attributes: { tier: 'one' } }),
      await world.update({ id: 'b', attributes: { tier: 'two' } }),
    ])
    expect(receipts.map(({ status }) => status).sort()).toEqual(['deferred', 'submitted'])
  })
})

describe('live: the receipt says that an update was set aside without asking Target, and why', () => {
  it.each<[Verdict, Receipt, string]>([
    ['expired', { status: 'set_aside', reason: 'expired' }, 'expired'],
    ['lost', { status: 'set_aside', reason: 'ledger_lost' }, 'ledger_lost'],
    ['overtaken', { status: 'set_aside', reason: 'overtaken_unconfirmed' }, 'overtaken_unconfirmed'],
  ])('%s', async (verdict, receipt, dead) => {
    const world = await createWorld()
    const admit: Ledger['admit'] = async (requests) =>
      requests.map(({ attributes }) => ({ event: 'open', verdicts: attributes.map(() => verdict), attempts: 0 }))
    const refusing = world.isolate({ ledger: { ...world.ledger, admit } })
    expect(await refusing.deliver([await world.update(one)])).toEqual([receipt])
    expect([await world.dead(), world.target.calls.length]).toEqual([[dead], 0])
  })

  it('an attribute that fits in no call', async () => {
    const world = await createWorld()
    const big = await world.update({ id: 'evt', attributes: { bio: 'x'.repeat(20_000) } })
    // It was taken in while calls were POSTs.
    expect(await world.isolate({ method: 'get' }).deliver([big])).toEqual([{ status: 'set_aside', reason: 'unfit' }])
    expect([await world.dead(), world.target.calls.length]).toEqual([['rejected'], 0])
  })

  it('if Target refused one part and another was never sent, Target’s answer counts', async () => {
    const world = await createWorld()
    world.target.behave = () => ({ kind: 'refused', message: 'no such attribute', own: true })
    const mixed = await world.update({ id: 'evt', attributes: { bio: 'x'.repeat(20_000), tier: 'gold' } })
    const receipts = await world.isolate({ method: 'get' }).deliver([mixed])
    expect(receipts).toEqual([{ status: 'rejected', detail: 'no such attribute' }])
  })
})

describe('live: a split update', () => {
  it('is submitted only when every part was accepted; a refused part alone is set aside', async () => {
    const world = await createWorld()
    world.target.behave = (_, pairs) =>
      pairs.has('bad') ? { kind: 'refused', message: 'bad attribute', own: true } : undefined
    const big = 'x'.repeat(40_000)
    const update = await world.update({ id: 'evt', attributes: { good: big, bad: big, also: big } })
    expect(await world.deliver([update])).toEqual([{ status: 'rejected', detail: 'bad attribute' }])
    expect(Object.keys(world.profile()).sort()).toEqual(['also', 'good'])
    const [dead] = (await world.backlog.listDead()).items
    expect(dead).toMatchObject({
      dead: { reason: 'rejected', detail: 'bad attribute', entry: { attributes: [{ name: 'bad' }] } },
    })
  })
})

describe('live: a settle that fails', () => {
  it('leaves only what is deferred anyway in the backlog if nothing was delivered (G7)', async () => {
    const world = await createWorld()
    world.target.behave = () => ({ kind: 'unavailable', status: 500 })
    const deaf = world.isolate({ ledger: { ...world.ledger, settle: () => Promise.reject(new Error('silent')) } })
    await deaf.deliver([await world.update({ id: 'evt', attributes: { tier: 'gold' } })])
    await deaf.settled()
    const { items } = await world.backlog.list()
    expect(items).toHaveLength(1)
    expect(items.filter((item) => 'unreadable' in item)).toEqual([])
  })
})

describe('live: one refused settlement in a batch', () => {
  it('does not affect the others: they are settled, and only its own update waits to be settled', async () => {
    const world = await createWorld()
    const updates = await Promise.all(
      Array.from({ length: 5 }, (_, n) =>
        world.update({ id: `${n}`, visitor: { thirdPartyId: `v${n}` }, attributes: { tier: 'x' } }),
      ),
    )
    const bad = updates[2]?.visitorHash
    const ledger: Ledger = {
      ...world.ledger,
      settle: (settlements, counts) =>
        settlements.some(({ visitorHash }) => visitorHash === bad)
          ? Promise.reject(new RangeError('too large'))
          : world.ledger.settle(settlements, counts),
    }
    const isolate = world.isolate({ ledger })
    expect((await isolate.deliver(updates)).every(({ status }) => status === 'submitted')).toBe(true)
    await isolate.settled()
    const { items } = await world.backlog.list()
    expect(items.map((item) => ('entry' in item ? item.entry.visitor : {}))).toEqual([{ thirdPartyId: 'v2' }])
    expect((await world.ledger.usage()).counters).toMatchObject({ received: 5, calls: 5 })
    expect(world.logged).toContain(JSON.stringify({ event: 'settle_failed', tries: 2, error: 'RangeError' }))
    await world.clock.advance(20_000)
    expect(await world.flush()).toMatchObject({ calls: 1, stopped: 'drained' })
  })
})

describe('live: a slow retry of an event', () => {
  it('that was neither kept nor delivered is not a duplicate when it is repeated (G2)', async () => {
    const world = await createWorld()
    const lost = world.isolate({
      backlog: { ...world.backlog, put: () => Promise.reject(new Error('KV PUT failed: 503')) },
    })
    let fail = (_: TargetAnswer) => {}
    world.target.behave = () => new Promise((resolve) => (fail = resolve))
    const first = lost.deliver([await world.update({ id: 'evt', attributes: { tier: 'x' } })])
    await world.clock.advance(2_500)
    expect(await first).toEqual([{ status: 'unavailable' }])
    fail({ kind: 'unavailable', status: 500 })
    await lost.settled()
    await world.clock.advance(60_000)
    world.target.behave = () => undefined
    expect(await world.deliver([await world.update({ id: 'evt', attributes: { tier: 'x' } })])).toMatchObject([
      { status: 'submitted' },
    ])
  })

  it('is kept under its first stamp, so that it does not overtake what came in between (G3)', async () => {
    const world = await createWorld()
    const lost = world.isolate({
      backlog: { ...world.backlog, put: () => Promise.reject(new Error('KV PUT failed: 503')) },
    })
    world.target.behave = () => ({ kind: 'unavailable', status: 500 })
    expect(await lost.deliver([await world.update({ id: 'evt', attributes: { tier: 'old' } })])).toEqual([
      { status: 'unavailable' },
    ])
    await world.clock.advance(60_000)
    // Its sender tries again and Target is slow: the update is kept, and the call fails.
    let fail = (_: TargetAnswer) => {}
    world.target.behave = () => new Promise((resolve) => (fail = resolve))
    const retry = world.deliver([await world.update({ id: 'evt', attributes: { tier: 'old' } })])
    await world.clock.advance(2_500)
    expect(await retry).toEqual([{ status: 'deferred', reason: 'slow' }])
    fail({ kind: 'unavailable', status: 500 })
    await world.settled()
    world.target.behave = () => undefined
    const [entry] = (await world.backlog.list()).items
    const first = await world.ledger.firstStamps([
      { event: (await world.update({ id: 'evt', attributes: { tier: 'old' } })).event ?? '', stamp: 'none' },
    ])
    expect(entry).toMatchObject({ entry: { stamp: first[0] } })
    await world.clock.advance(60_000)
    await world.deliver([
      await world.update({ id: 'between', attributes: { tier: 'new' }, occurredAt: world.clock.now() - 90_000 }),
    ])
    await world.clock.advance(15 * 60_000)
    await world.flush()
    expect(world.profile()).toEqual({ tier: 'new' })
  })
})

describe('live: START', () => {
  it('no call of a large admission starts later than START after the admission was asked for (G3)', async () => {
    const world = await createWorld()
    const startedMs = world.clock.now()
    world.target.behave = async () => {
      await world.clock.advance(150)
      return { kind: 'delivered' }
    }
    const note = 'x'.repeat(7_000)
    const attributes = { a: note, b: note, c: note, d: note, e: note, f: note }
    const updates = await Promise.all(
      Array.from({ length: 16 }, (_, n) =>
        world.update({ id: `${n}`, visitor: { thirdPartyId: `v${n}` }, attributes }),
      ),
    )
    await world.isolate({ method: 'get' }).deliver(updates)
    expect(world.target.calls.length).toBeGreaterThan(4)
    for (const { atMs } of world.target.calls) expect(atMs - startedMs).toBeLessThanOrEqual(2_000)
  })
})
