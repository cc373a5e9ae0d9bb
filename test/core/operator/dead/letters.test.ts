/** What an operator sees of dead letters: lists, filters, pages, and one letter, masked or revealed (G8, G9). */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { deadKey, packDead } from '../../../../src/core/backlog/entry-format.ts'
import { kvBacklog } from '../../../../src/core/backlog/kv.ts'
import type { Backlog, DeadLetter } from '../../../../src/core/backlog/port.ts'
import type { Seal } from '../../../../src/core/backlog/seal.ts'
import { sqliteBacklog } from '../../../../src/core/backlog/sqlite.ts'
import { defaultLimits } from '../../../../src/core/limits.ts'
import { createLetters, type DeadFilter } from '../../../../src/core/operator/dead/letters.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'
import { someEntry, tinyLimits } from '../../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../../support/clock.ts'
import { fakeKv } from '../../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../../support/seal.ts'

const randomHex = seededRandom(5).hex
const clock = fakeClock()
const sqlite = () => nodeSqlite(new DatabaseSync(':memory:'))
const kinds: [string, () => Promise<Backlog>][] = [
  ['SQLite', async () => sqliteBacklog(sqlite(), { randomHex, seal: await sealWith('k') })],
  ['SQLite, tiny', async () => sqliteBacklog(sqlite(), { randomHex, seal: plainSeal, limits: tinyLimits })],
  ['KV', async () => kvBacklog(fakeKv({ now: clock.now }), { randomHex, seal: await sealWith('k') })],
  [
    'KV, tiny',
    async () =>
      kvBacklog(fakeKv({ now: clock.now, emptyPages: true }), { randomHex, seal: plainSeal, limits: tinyLimits }),
  ],
]
const lettersOf = (backlog: Backlog, maxOperations = 900) =>
  createLetters({ backlog, clock, maxOperations, limits: defaultLimits })

const letter = (n: number, more: Partial<DeadLetter> = {}): DeadLetter => ({
  reason: 'rejected',
  source: 'api',
  atMs: clock.now() + n,
  firstSeenMs: clock.now(),
  attempts: 1,
  entry: someEntry(),
  ...more,
})

describe.each(kinds)('dead letters on %s', (_, make) => {
  const all = async (backlog: Backlog, filter: DeadFilter, limit = 2, maxOperations = 900) => {
    const { list } = lettersOf(backlog, maxOperations)
    const seen: string[] = []
    for (let cursor: string | undefined, calls = 0; calls < 100; calls++) {
      const page = await list(filter, limit, cursor)
      expect(page.letters.length).toBeLessThanOrEqual(limit)
      seen.push(...page.letters.map(({ key }) => key))
      cursor = page.cursor
      if (cursor === undefined) return seen
    }
    return expect.fail('never ends')
  }

  it('are listed newest first, each once, by reason, source, visitor and time', async () => {
    const backlog = await make()
    const mine = someEntry()
    const kept: { key: string; dead: DeadLetter }[] = []
    for (let n = 0; n < 24; n++) {
      const dead = letter(n, {
        reason: n % 2 === 0 ? 'rejected' : 'expired',
        source: n % 3 === 0 ? 'loan' : 'api',
        ...(n % 5 === 0 ? { entry: mine } : {}),
      })
      kept.unshift({ key: await backlog.bury(dead), dead })
    }
    const keysOf = (wanted: (dead: DeadLetter) => boolean) =>
      kept.filter(({ dead }) => wanted(dead)).map(({ key }) => key)
    expect(await all(backlog, {})).toEqual(keysOf(() => true))
    expect(await all(backlog, { reason: 'expired' }, 3)).toEqual(keysOf(({ reason }) => reason === 'expired'))
    expect(await all(backlog, { source: 'loan' })).toEqual(keysOf(({ source }) => source === 'loan'))
    expect(await all(backlog, { visitorHash: mine.visitorHash })).toEqual(keysOf(({ entry }) => entry === mine))
    const beforeMs = clock.now() + 7
    expect(await all(backlog, { beforeMs, reason: 'rejected' })).toEqual(
      keysOf(({ atMs, reason }) => atMs < beforeMs && reason === 'rejected'),
    )
    expect(await all(backlog, { source: 'nobody' })).toEqual([])
    // However little one request may ask for, it ends with a cursor.
    expect(await all(backlog, { source: 'loan' }, 50, 1)).toEqual(keysOf(({ source }) => source === 'loan'))
  })

  it('show no value and no id until they are revealed (G8)', async () => {
    const backlog = await make()
    const entry = someEntry({
      visitor: { thirdPartyId: 'canary-id' },
      attributes: [{ name: 'tier', value: 'canary-value' }],
    })
    const update = await backlog.bury(letter(1, { entry, detail: 'no such visitor' }))
    const { entry: _, ...bare } = letter(2, { reason: 'unmappable', raw: '{"canary":1}', eventId: 'canary-event' })
    const raw = await backlog.bury(bare)
    const { list, read } = lettersOf(backlog)
    expect(JSON.stringify([await list({}, 9), await read(update, false), await read(raw, false)])).not.toContain(
      'canary',
    )
    expect((await list({}, 9)).letters[1]).toEqual({
      key: update,
      reason: 'rejected',
      source: 'api',
      at: expect.stringMatching(/Z$/),
      firstSeenAt: expect.stringMatching(/Z$/),
      attempts: 1,
      detail: 'no such visitor',
      visitor: entry.visitorHash,
    })
    expect(await read(update, false)).toMatchObject({
      update: { visitor: { thirdPartyIdCharacters: 9 }, attributes: [{ name: 'tier', characters: 12 }] },
    })
    expect(await read(raw, false)).toMatchObject({ rawCharacters: 12, reason: 'unmappable' })
    expect(await read(update, true)).toMatchObject({
      update: { visitor: { thirdPartyId: 'canary-id' }, attributes: [{ name: 'tier', value: 'canary-value' }] },
    })
    expect(await read(raw, true)).toMatchObject({ raw: '{"canary":1}', eventId: 'canary-event' })
  })

  it('what is no key of a letter reads as nothing, also where something else is stored under it', async () => {
    const backlog = await make()
    const { read } = lettersOf(backlog)
    expect(await read(await backlog.put(someEntry()), true)).toBeUndefined()
    expect(await read(deadKey(1, '0'.repeat(16)), true)).toBeUndefined()
  })
})

describe('dead letters of an older version', () => {
  const old = letter(1, { detail: 'from before' })

  it('on SQLite are listed among the others, and have a head once they were read', async () => {
    const sql = sqlite()
    sql.exec('CREATE TABLE relay_backlog (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID')
    const write = (atMs: number) =>
      sql.exec(
        'INSERT INTO relay_backlog (key, value) VALUES (?, ?)',
        deadKey(atMs, randomHex(8)),
        JSON.stringify(packDead({ ...old, atMs })),
      )
    write(old.atMs)
    const backlog = sqliteBacklog(sql, { randomHex, seal: plainSeal })
    // A server of that version runs on beside this one.
    write(old.atMs + 2)
    await backlog.bury({ ...old, atMs: old.atMs + 1 })
    const { list } = lettersOf(backlog)
    const before = backlog.operations
    const { letters } = await list({ reason: 'rejected' }, 9)
    // Rows, values, and all heads in one step, which waits for the disk.
    expect(backlog.operations - before).toBe(3)
    expect(letters.map(({ at }) => Date.parse(at ?? '') - old.atMs)).toEqual([2, 1, 0])
    expect(letters.map(({ detail }) => detail)).toEqual(Array(3).fill('from before'))
    expect(sql.exec('SELECT count(*) AS n FROM relay_dead WHERE reason IS NULL')).toEqual([{ n: 0 }])
    expect((await list({ reason: 'rejected' }, 9)).letters).toEqual(letters)
    for (const { key } of letters) sql.exec('DELETE FROM relay_backlog WHERE key = ?', key)
    expect((await list({}, 9)).letters).toEqual([])
  })

  it('in KV are listed behind the others', async () => {
    const kv = fakeKv({ now: clock.now })
    await kv.put(deadKey(old.atMs, randomHex(8)), JSON.stringify(packDead(old)))
    const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
    await backlog.bury({ ...old, atMs: old.atMs - 1 })
    await backlog.bury({ ...old, atMs: old.atMs + 1 })
    const { letters } = await lettersOf(backlog).list({ reason: 'rejected' }, 9)
    expect(letters.map(({ at }) => Date.parse(at ?? '') - old.atMs)).toEqual([1, -1, 0])
    expect((await backlog.listDead()).items).toHaveLength(2)
  })
})

it('a letter that no key opens is listed by its head, and says that it cannot be read', async () => {
  const [kv, sql] = [fakeKv({ now: clock.now }), sqlite()]
  const [old, other] = [await sealWith('old'), await sealWith('new')]
  for (const make of [
    (seal: Seal) => kvBacklog(kv, { randomHex, seal }),
    (seal: Seal) => sqliteBacklog(sql, { randomHex, seal }),
  ]) {
    const key = await make(old).bury(letter(1, { detail: 'hidden', source: 'loan' }))
    const { list, read } = lettersOf(make(other))
    expect((await list({ source: 'loan' }, 9)).letters).toEqual([expect.not.objectContaining({ detail: 'hidden' })])
    expect(await read(key, true)).toMatchObject({ key, unreadable: expect.any(String) })
  }
})
