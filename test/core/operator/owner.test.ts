/** Whose a store is: told apart by what makes an account and nothing else, without storing a secret. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { Backlog } from '../../../src/core/backlog/port.ts'
import { createSeal, type Seal } from '../../../src/core/backlog/seal.ts'
import { sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import {
  ForeignStore,
  foreignBy,
  type OwnerMemory,
  ownedStores,
  ownerMemo,
  ownerOf,
  takeOver,
} from '../../../src/core/operator/owner.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { createHasher } from '../../../src/core/update/hash.ts'
import { someEntry } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { sqlWatched } from '../../support/ledger.ts'
import { plainSeal, ringKey } from '../../support/seal.ts'
import { worldSettings } from '../../support/world.ts'

const key = 'a-hash-key-of-32-bytes-for-tests-only'
const owner = async (client: string, origin = `https://${client}.tt.omtrdc.net`, hashKey = key) =>
  ownerOf({ targetClientCode: client, targetOrigin: origin }, await createHasher(hashKey))
const hasher = await createHasher(key)
const own = await owner('acme')

describe('an account', () => {
  it('is the same at whichever address Target is called, and on any port of a stand-in', async () => {
    expect(await owner('acme', 'https://mboxedge34.tt.omtrdc.net')).toEqual(own)
    expect(await owner('acme', 'http://127.0.0.1:1')).toEqual(await owner('acme', 'http://localhost:2'))
  })

  it.each([
    ['its client code', owner('other'), 'its TARGET_CLIENT_CODE is other, here it is acme'],
    [
      'its kind of Target',
      owner('acme', 'http://127.0.0.1:1'),
      'TARGET_ORIGIN is no stand-in on loopback, other than there',
    ],
    ['its HASH_KEY', owner('acme', undefined, `${key}!`), 'its HASH_KEY is another'],
  ])('is distinguished by %s, and the message names what differs', async (_, account, why) => {
    const other = await account
    expect(other.mark).not.toBe(own.mark)
    expect(foreignBy(other.memo, own.memo)).toMatchObject({
      name: 'ForeignStore',
      message: expect.stringContaining(`(${why}): `),
    })
    expect(foreignBy(own.memo, own.memo)).toBeUndefined()
    expect(JSON.stringify([own, other])).not.toContain(key)
  })

  it.each(['', 'x', '7', 'null', '{}', '{"client":"acme"}'])(
    'stored as %s is of no account that this version knows',
    (memo) => {
      expect(foreignBy(memo, own.memo)?.message).toContain('another version')
    },
  )
})

const ring = [ringKey('k1', 1)]
const bytes = (count: number) => Uint8Array.from(Buffer.from(seededRandom(1).hex(count), 'hex'))
const randomHex = seededRandom(2).hex
describe.each([
  ['plain', []],
  ['sealed', ring],
])('what waits, %s,', (_, keys) => {
  const seals = async () =>
    [await createSeal(keys, bytes, own.mark), await createSeal(keys, bytes, (await owner('other')).mark)] as const
  const stores: readonly (readonly [string, () => (seal: Seal) => Backlog])[] = [
    [
      'SQLite',
      () => {
        const sql = nodeSqlite(new DatabaseSync(':memory:'))
        return (seal) => sqliteBacklog(sql, { randomHex, seal })
      },
    ],
    [
      'KV',
      () => {
        const kv = fakeKv({ now: fakeClock().now })
        return (seal) => kvBacklog(kv, { randomHex, seal })
      },
    ],
  ]
  it.each(stores)('in %s is read by its own account alone, as are dead letters', async (_store, make) => {
    const [mine, theirs] = (await seals()).map(make()) as [Backlog, Backlog]
    const small = someEntry()
    const large = someEntry({ attributes: [{ name: 'note', value: 'x'.repeat(2_000) }] })
    for (const entry of [small, large]) await mine.put(entry)
    const dead = await mine.bury({
      reason: 'unmappable',
      source: 'loan',
      atMs: 1,
      firstSeenMs: 1,
      attempts: 0,
      raw: '{}',
    })
    expect((await mine.list()).items).toEqual([
      expect.objectContaining({ entry: small }),
      expect.objectContaining({ entry: large }),
    ])
    expect(await mine.readDead(dead)).toMatchObject({ dead: { raw: '{}' } })
    const unreadable = expect.objectContaining({ unreadable: expect.stringContaining('account') })
    expect((await theirs.list()).items).toEqual([unreadable, unreadable])
    expect((await theirs.listDead()).items).toEqual([unreadable])
    expect(await theirs.readDead(dead)).toEqual(unreadable)
  })

  it.each(stores)(
    'in %s under a client code that was a typo is read once the ledger is taken over',
    async (_, make) => {
      const typo = await owner('amce')
      const open = make()
      const theirs = open(await createSeal(keys, bytes, typo.mark))
      const entry = someEntry()
      await theirs.put(entry)
      const ledger = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), worldSettings, fakeClock())
      await ledger.remember(ownerMemo, typo.memo)
      const own = await owner('acme')
      const relay = () =>
        ownedStores(own, {
          ledger,
          backlog: open(seal),
          hasher,
          memory: { owners: new Map() },
          log: () => {},
        })
      const seal = await createSeal(keys, bytes, own.mark, own.marksBefore)
      await expect(relay().backlog.list()).rejects.toThrow(ForeignStore)
      expect(await takeOver(own, ledger, 'amce')).toBeUndefined()
      expect((await relay().backlog.list()).items).toEqual([expect.objectContaining({ entry })])
      // The other way round nothing is shared, and the old code is another account's now.
      await relay().backlog.put(someEntry({ attributes: [{ name: 'plan', value: 'new' }] }))
      expect((await theirs.list()).items.map((item) => 'entry' in item)).toEqual([true, false])
      expect(foreignBy(String(await ledger.recall(ownerMemo)), typo.memo)?.message).toContain('client code')
    },
  )

  it('without an account mark, as older versions wrote it, is read', async () => {
    const [mine] = await seals()
    const packed = { v: 1 }
    expect(await mine.open(await (await createSeal(keys, bytes)).seal(packed, 'b1/x'), 'b1/x')).toEqual(packed)
  })
})

describe('stores', () => {
  it('can all that they can behind their owner', async () => {
    for (const backlog of [
      sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, seal: plainSeal }),
      kvBacklog(fakeKv({ now: () => 0 }), { randomHex, seal: plainSeal }),
    ]) {
      const ledger = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), worldSettings, fakeClock())
      const owned = ownedStores(own, { ledger, backlog, hasher, memory: { owners: new Map() }, log: () => {} })
      expect(Object.keys(owned.backlog).sort()).toEqual(Object.keys(backlog).sort())
    }
  })

  function stores(first: () => Promise<string>) {
    const ledger = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), worldSettings, fakeClock())
    const backlog = sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, seal: plainSeal })
    const asked: string[] = []
    const memory: OwnerMemory = { owners: new Map() }
    const log = (event: string) => asked.push(event)
    const rememberFirst = () => {
      asked.push('asked')
      return first()
    }
    return {
      ...ownedStores(own, { ledger: { ...ledger, rememberFirst }, backlog, hasher, memory, log }),
      asked,
      memory,
    }
  }

  it('are asked whose they are until they answer, and then not again', async () => {
    let answer = () => Promise.reject<string>(new Error('silent'))
    const { ledger, backlog, asked } = stores(() => answer())
    await expect(ledger.summary()).rejects.toThrow('silent')
    await backlog.put(someEntry())
    expect((await backlog.list()).items).toHaveLength(1)
    answer = async () => own.memo
    await ledger.summary()
    await backlog.list()
    await ledger.usage()
    expect(asked).toEqual(['asked', 'asked', 'owner_unknown', 'asked'])
  })

  it('of another account do nothing until they belong to this one', async () => {
    const theirs = (await owner('other')).memo
    let answer = theirs
    const { ledger, backlog } = stores(async () => answer)
    const asksNothing = new Set(['rememberFirst', 'removesTogether'])
    const all = (of: object) =>
      Object.entries(of).filter(([name, method]) => typeof method === 'function' && !asksNothing.has(name))
    await expect(ledger.rememberFirst('other', 'x')).rejects.toThrow(ForeignStore)
    for (const [, method] of [...all(ledger), ...all(backlog)]) await expect(method()).rejects.toThrow(ForeignStore)
    answer = own.memo
    expect(await ledger.summary()).toMatchObject({ used: 0 })
    await backlog.put(someEntry())
  })

  it('that two accounts use in one process are checked for each', async () => {
    const { memory, ledger } = stores(async () => own.memo)
    await ledger.summary()
    const other = stores(async () => own.memo)
    const shared = ownedStores(await owner('other'), { ...other, hasher, memory, log: () => {} })
    await expect(shared.ledger.summary()).rejects.toThrow(ForeignStore)
    expect(await ledger.summary()).toMatchObject({ used: 0 })
  })
})

describe('a ledger is taken over', () => {
  const ledgerOf = async (memo: string | undefined, saidYes = false) => {
    const ledger = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), worldSettings, fakeClock())
    if (memo !== undefined) await ledger.remember(ownerMemo, memo)
    const { health, ...summary } = await ledger.summary()
    return { ...ledger, summary: async () => ({ ...summary, health: { ...health, saidYes } }) }
  }

  it('from each client code that was a typo, and asked again changes nothing', async () => {
    const ledger = await ledgerOf((await owner('first')).memo)
    expect(await takeOver(await owner('second'), ledger, 'first')).toBeUndefined()
    expect(await takeOver(own, ledger, 'second')).toBeUndefined()
    const kept = await ledger.recall(ownerMemo)
    expect(JSON.parse(String(kept))).toMatchObject({ client: 'acme', before: ['first', 'second'] })
    expect(await takeOver(own, ledger, 'second')).toBeUndefined()
    expect(await ledger.recall(ownerMemo)).toBe(kept)
  })

  it.each([
    ['by another name than it bears', owner('other'), 'amce', false, 'is not the client code'],
    ['under another HASH_KEY', owner('other', undefined, `${key}!`), 'other', false, 'its HASH_KEY is another'],
    ['from a stand-in', owner('other', 'http://127.0.0.1:1'), 'other', false, 'TARGET_ORIGIN is no stand-in'],
    ['once Target accepted something (G4)', owner('other'), 'other', true, 'is no typo'],
  ])('never %s', async (_, theirs, client, saidYes, why) => {
    const { memo } = await theirs
    const ledger = await ledgerOf(memo, saidYes)
    expect(await takeOver(own, ledger, client)).toContain(why)
    expect(await ledger.recall(ownerMemo)).toBe(memo)
  })

  it('where nobody used it, or it is of another version: left alone', async () => {
    const empty = await ledgerOf(undefined)
    expect(await takeOver(own, empty, 'amce')).toBeUndefined()
    expect(await empty.recall(ownerMemo)).toBeUndefined()
    expect(await takeOver(own, await ledgerOf('[]'), 'amce')).toContain('is not the client code')
  })
})
