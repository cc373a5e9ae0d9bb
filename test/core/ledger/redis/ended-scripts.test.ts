/**
 * A script may end at any of its calls, and what it has written stays: Redis undoes nothing. Whatever it was doing, the
 * total of the quota must be that of its buckets, or units would count for ever (G7) or never (G1).
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { AdmitRequest, LedgerStore } from '../../../../src/core/ledger/port.ts'
import { upstashLedger } from '../../../../src/core/ledger/redis/ledger.ts'
import { admitScript } from '../../../../src/core/ledger/redis/scripts/admit.ts'
import { cancelScript } from '../../../../src/core/ledger/redis/scripts/cancel.ts'
import { confirmClockScript } from '../../../../src/core/ledger/redis/scripts/confirm-clock.ts'
import { beginScript, chargeScript } from '../../../../src/core/ledger/redis/scripts/epoch.ts'
import { moveInScript } from '../../../../src/core/ledger/redis/scripts/move.ts'
import { reserveScript } from '../../../../src/core/ledger/redis/scripts/reserve.ts'
import { restateScript } from '../../../../src/core/ledger/redis/scripts/restate.ts'
import { settleScript } from '../../../../src/core/ledger/redis/scripts/settle.ts'
import { summaryScript } from '../../../../src/core/ledger/redis/scripts/summary.ts'
import { startMs } from '../../../contract/ledger/bench.ts'
import { at, contractSettings } from '../../../contract/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../../support/upstash-stand-in.ts'

let standIn: UpstashStandIn
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

const epoch = 'aaaaaaaaaaaaaaaa'
const source = { name: 'crm', units: 20 }
const request = (n: number, more: Partial<AdmitRequest> = {}): AdmitRequest => ({
  visitorHash: `${n}`.padStart(32, '0'),
  attributes: [{ name: 'tier', stamp: at(n) }],
  units: 2,
  token: `${n}`.padStart(24, '0'),
  source,
  ...more,
})
const three = [request(11), request(12, { units: 3 }), request(13)]

interface World {
  readonly store: LedgerStore
  readonly prefix: string
  /** The ledger's time, epoch ms. */
  nowMs: number
  /** Two attempts that are under way, and the bucket of their units. */
  readonly underWay: readonly AdmitRequest[]
  bucket: number
}

async function spentBefore(prefix: string): Promise<World> {
  const world: World = {
    store: upstashLedger({
      url: standIn.url,
      token: standIn.token,
      settings: contractSettings,
      timeoutMs: 5_000,
      prefix,
      now: () => world.nowMs,
    }),
    prefix,
    nowMs: startMs,
    underWay: [request(1), request(2)],
    bucket: 0,
  }
  await world.store.begin(epoch, { lost: false })
  // One bucket that has left the window when the script runs, and one that has not.
  await world.store.admit(epoch, [request(0)], 'live')
  world.nowMs += 8_000
  const answer = await world.store.admit(epoch, world.underWay, 'live')
  const [first] = answer?.admissions ?? []
  world.bucket = first?.event === 'open' ? (first.bucket ?? 0) : 0
  world.nowMs += 5_000
  return world
}

/** What counts by the total, by the buckets, and by the set that finds them, of an account. */
async function countedOf({ prefix }: World, account: string): Promise<readonly number[]> {
  const key = `${prefix}:quota${account}`
  const flat = (await standIn.command('HGETALL', key)) as string[]
  const fields = new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, Number(flat[at + 1])] as const] : [])))
  const from = fields.get('f') ?? 0
  const named = (await standIn.command('ZRANGEBYSCORE', `${key}|ends`, String(from), '+inf')) as string[]
  const sum = (names: Iterable<string>) => [...names].reduce((all, name) => all + (fields.get(name) ?? 0), 0)
  return [
    fields.get('t') ?? 0,
    sum([...fields.keys()].filter((name) => /^\d+$/.test(name) && Number(name) >= from)),
    sum(named),
  ]
}

it('an epoch that begins after a loss never stands without its charge (G1)', async () => {
  const after = 'bbbbbbbbbbbbbbbb'
  let stood = false
  for (let calls = 1; !stood; calls++) {
    const world = await spentBefore(`begun-${calls}`)
    await standIn.command('SCRIPT', 'FLUSH')
    standIn.fault = { kind: 'end_script', calls, within: beginScript }
    await world.store.begin(after, { lost: true, after: epoch }).catch(() => {})
    standIn.fault = undefined
    stood = (await world.store.life())?.epoch === after
    if (stood) expect((await world.store.summary()).remaining).toBe(0)
  }
})

it('what was forgotten is never charged without the mark of its loss (G3)', async () => {
  let charged = false
  for (let calls = 1; !charged; calls++) {
    const world = await spentBefore(`charged-${calls}`)
    await standIn.command('SCRIPT', 'FLUSH')
    standIn.fault = { kind: 'end_script', calls, within: chargeScript }
    await world.store.charge(50).catch(() => {})
    standIn.fault = undefined
    charged = (await world.store.life())?.granted === 50
    if (charged) expect((await world.store.summary()).lostAtMs).toBeGreaterThan(world.nowMs)
  }
})

it('a time that is confirmed is never right before what may be in flight has ended (G1, G3)', async () => {
  let isOver = false
  for (let calls = 1; !isOver; calls++) {
    const world = await spentBefore(`confirmed-${calls}`)
    world.nowMs -= 600_000
    expect((await world.store.summary()).clock).toBeDefined()
    await standIn.command('SCRIPT', 'FLUSH')
    standIn.fault = { kind: 'end_script', calls, within: confirmClockScript }
    isOver = await world.store.confirmClock().then(
      () => true,
      () => false,
    )
    standIn.fault = undefined
    expect((await world.store.summary()).clock, `ended at call ${calls}`).toBeDefined()
  }
})

it('a total that an older version left wrong is right again once it is stated', async () => {
  const world = await spentBefore('left-wrong')
  await standIn.command('HINCRBY', 'left-wrong:quota', 't', '35')
  expect((await world.store.summary()).used).toBe(4 + 35)
  await world.store.restate(7)
  expect((await world.store.summary()).used).toBe(7)
})

it.each<readonly [string, string, (world: World) => Promise<unknown>]>([
  ['reserving', reserveScript, ({ store }) => store.admit(epoch, three, 'live')],
  ['admitting', admitScript, ({ store }) => store.admit(epoch, three, 'live')],
  ['cancelling', cancelScript, ({ store, underWay }) => store.cancel(underWay)],
  [
    'settling',
    settleScript,
    ({ store, underWay, bucket }) =>
      store.settle(
        underWay.map(({ visitorHash, token, attributes, units }) => ({
          ...{ visitorHash, token, giveBack: { bucket, units, source: source.name } },
          attributes: attributes.map((one) => ({ ...one, outcome: 'unsent' as const })),
        })),
      ),
  ],
  ['summing up', summaryScript, ({ store }) => store.summary()],
  ['stating', restateScript, ({ store }) => store.restate(7)],
  ['beginning anew', beginScript, ({ store }) => store.begin('bbbbbbbbbbbbbbbb', { lost: true, after: epoch })],
  ['charging', chargeScript, ({ store }) => store.charge(50)],
  [
    'confirming the time',
    confirmClockScript,
    (world) => {
      world.nowMs -= 6_000
      return world.store.confirmClock()
    },
  ],
  [
    'moving in',
    moveInScript,
    ({ store }) =>
      store.moveIn({
        units: [
          { account: '', lastMs: startMs + 10_000, units: 9 },
          { account: '', lastMs: startMs - 90_000_000, units: 9 },
          { account: source.name, lastMs: startMs + 10_000, units: 4 },
        ],
        visitors: [],
        events: [],
        id: 'cccc',
        life: { epoch, granted: 30 },
      }),
  ],
])('a script that ends anywhere while %s leaves the total that of the buckets (G1, G7)', async (name, script, work) => {
  let ended = 0
  for (let calls = 1; ; calls++) {
    const world = await spentBefore(`ended-${name}-${calls}`)
    await standIn.command('SCRIPT', 'FLUSH')
    standIn.fault = { kind: 'end_script', calls, within: script }
    const went = await work(world).then(
      () => true,
      // The client quotes the whole script.
      (error: unknown) => String(error).split(', command was')[0],
    )
    standIn.fault = undefined
    for (const account of ['', `:${source.name}`]) {
      const [total, buckets, named] = await countedOf(world, account)
      expect([total, buckets], `${name}, ended at call ${calls}: ${went}`).toEqual([named, named])
    }
    // What it was cut short at is over once the window has passed.
    world.nowMs += 3 * contractSettings.quotaWindowMs
    expect((await world.store.summary()).used).toBe(0)
    if (went === true) break
    expect(went).toContain('ENDED')
    ended++
  }
  expect(ended).toBeGreaterThan(3)
})
