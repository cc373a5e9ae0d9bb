/** How registers are stored: pages, rows of older versions, moving in pieces, and what is remembered of an import. */
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MovedState } from '../../../src/core/ledger/moved.ts'
import { piecesOf } from '../../../src/core/ledger/moved-pieces.ts'
import type { AdmitRequest, Ledger } from '../../../src/core/ledger/port.ts'
import { pageOf, registerPages } from '../../../src/core/ledger/rules/pages.ts'
import { defaultLimits } from '../../../src/core/limits.ts'
import { createFind } from '../../../src/core/operator/visitor/find-visitor.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { at, contractSettings } from '../../contract/ledger.ts'
import { seededRandom } from '../../support/clock.ts'
import { sqlWatched, upstashWatched } from '../../support/ledger.ts'
import { measureRows } from '../../support/register-rows.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../support/upstash-stand-in.ts'

const startMs = 1_790_000_000_000
const settings = { ...contractSettings, quotaLimit: 1_000_000 }
const random = seededRandom(13)
let serial = 0
let standIn: UpstashStandIn
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

const onRedis = (clock: { now: () => number }) => {
  const prefix = `registers${process.pid}-${++serial}`
  const parts = {
    url: standIn.url,
    token: standIn.token,
    timeoutMs: 20_000,
    randomHex: random.hex,
    prefix,
    settings,
    now: clock.now,
  }
  return { prefix, ledger: upstashWatched(parts) }
}
const request = (visitorHash: string, names: readonly string[], ms: number): AdmitRequest => ({
  visitorHash,
  attributes: names.map((name) => ({ name, stamp: at(ms) })),
  units: 1,
  token: random.hex(12),
})
const verdicts = async (ledger: Ledger, one: AdmitRequest) => {
  const [answer] = await ledger.admit([one], 'live')
  return answer?.event === 'open' ? [...new Set(answer.verdicts)] : []
}
const moveAll = async (from: Ledger, to: Ledger) => {
  let largest = 0
  for (let cursor: string | undefined; ; ) {
    const out = await from.moveOut(cursor)
    largest = Math.max(largest, out.part.visitors.flatMap(({ registers }) => registers).length)
    await to.moveIn(out.part)
    cursor = out.cursor
    if (cursor === undefined) return largest
  }
}

describe('pages', () => {
  it.each([
    ['numbers', (n: number) => `attribute-${n}`],
    ['dates', (n: number) => `visit_${new Date(n * 86_400_000).toISOString().slice(0, 10)}`],
    ['another script', (n: number) => `属性${n}é`],
  ])('spread names that differ in %s', (_, nameOf) => {
    const sizes = new Map<number, number>()
    for (let n = 0; n < 20_000; n++) {
      const page = pageOf(nameOf(n))
      sizes.set(page, (sizes.get(page) ?? 0) + 1)
    }
    expect(Math.max(...sizes.values())).toBeLessThan(40)
    expect(Math.max(...sizes.keys())).toBeLessThan(registerPages)
  })
})

describe('a visitor stored by an older version, with all registers in one row', () => {
  const names = Array.from({ length: 5_000 }, (_, n) => `old-${n}`)
  const clock = { now: () => startMs }

  it('SQL: is read, and cut to the bound when it is written; nothing is forgotten', async () => {
    const sql = nodeSqlite(new DatabaseSync(':memory:'))
    const ledger = sqlWatched(sql, settings, clock)
    const old = JSON.stringify({ r: names.map((name) => [name, { done: at(5) }]), b: { attempts: 3, notBeforeMs: 1 } })
    sql.exec('INSERT INTO relay_visitor (hash, registers, until_ms) VALUES (?, ?, ?)', 'old', old, startMs + 3_600_000)
    expect(await verdicts(ledger, request('old', names.slice(0, 100), 4))).toEqual(['superseded'])
    expect(await moveAll(ledger, sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, clock))).toBe(1_000)
    expect(await verdicts(ledger, request('old', [names.at(-1) ?? ''], 7))).toEqual(['send'])
    const { bytes, registers } = measureRows(sql)
    expect(registers).toBe(defaultLimits.registersPerPage)
    expect(bytes).toBeLessThan(100_000)
    for (let from = 0; from < 4_999; from += 200)
      expect(await verdicts(ledger, request('old', names.slice(from, Math.min(from + 200, 4_999)), 4))).toEqual([
        'superseded',
      ])
    expect(await verdicts(ledger, request('old', names.slice(-1), 6))).toEqual(['waits'])
  })

  it('Redis: is read, passes what exceeds the bound to its pages at each write, and moves in parts', async () => {
    const { ledger, prefix } = onRedis(clock)
    const key = `${prefix}:v:old`
    await standIn.command('HSET', key, ...names.flatMap((name) => [`a:${name}`, `${at(5)}|||||`]), 'b', '3|1')
    await standIn.command('PEXPIRE', key, '3600000')
    const size = async () => Number(await standIn.command('HLEN', key))
    expect(await verdicts(ledger, request('old', names.slice(0, 100), 4))).toEqual(['superseded'])
    const other = onRedis(clock)
    // A step of HSCAN may return a few more than asked for.
    expect(await moveAll(ledger, other.ledger)).toBeLessThan(1_200)
    for (let from = 0; from < 5_000; from += 200)
      expect(await verdicts(other.ledger, request('old', names.slice(from, from + 200), 4))).toEqual(['superseded'])
    for (let n = 0; n < 20; n++) {
      const before = await size()
      expect(await verdicts(ledger, request('old', [names[n] ?? ''], 7))).toEqual(['send'])
      expect(await size()).toBeLessThan(Math.max(before, defaultLimits.registersPerPage + 4))
    }
    expect(await size()).toBeLessThanOrEqual(defaultLimits.registersPerPage + 3)
    for (let from = 20; from < 5_000; from += 415)
      expect(await verdicts(ledger, request('old', names.slice(from, from + 415), 4))).toEqual(['superseded'])
    expect(await verdicts(ledger, request('old', names.slice(0, 20), 6))).toEqual(['waits'])
    expect((await ledger.visitor('old')).length).toBe(5_000)
    // What moved from the head lives as long as it would have in the head.
    const [page] = (await standIn.command('KEYS', `${key}:*`)) as string[]
    expect(Number(await standIn.command('PTTL', page ?? ''))).toBeGreaterThan(3_000_000)
  })
})

describe('heads and pages', () => {
  const names = Array.from({ length: 700 }, (_, n) => `name-${n}`)

  it('a head lives as long as its newest page, even if only pages are written', async () => {
    let nowMs = startMs
    const database = new DatabaseSync(':memory:')
    const ledger = sqlWatched(nodeSqlite(database), settings, { now: () => nowMs })
    await ledger.admit([request('v', names, 0)], 'live')
    nowMs += 20 * 3_600_000
    await ledger.admit([request('v', names.slice(600), 20 * 3_600_000)], 'live')
    expect(database.prepare('SELECT MAX(until_ms) AS until FROM relay_page').get()?.['until']).toEqual(
      database.prepare('SELECT until_ms FROM relay_visitor').get()?.['until_ms'],
    )
    const { ledger: redis, prefix } = onRedis({ now: () => nowMs })
    await redis.admit([request('v', names, 20 * 3_600_000)], 'live')
    // As after hours without use.
    for (const key of (await standIn.command('KEYS', `${prefix}:v:*`)) as string[])
      await standIn.command('PEXPIRE', key, '5000')
    await redis.settle([
      {
        visitorHash: 'v',
        token: '',
        attributes: [{ name: 'name-699', stamp: at(20 * 3_600_000), outcome: 'unknown' }],
      },
    ])
    expect(Number(await standIn.command('PTTL', `${prefix}:v:v`))).toBeGreaterThan(settings.retentionMs)
  })

  it('expired pages are removed as fast as new ones are made', async () => {
    let nowMs = startMs
    const database = new DatabaseSync(':memory:')
    const ledger = sqlWatched(nodeSqlite(database), settings, { now: () => nowMs })
    for (let week = 0; week < 6; week++) {
      nowMs = startMs + week * 7 * 86_400_000
      await ledger.admit([request(`visitor of week ${week}`, names, week * 7 * 86_400_000)], 'live')
    }
    expect(Number(database.prepare('SELECT COUNT(*) AS n FROM relay_page').get()?.['n'])).toBeLessThan(2 * 444)
  })
})

describe('moving the state in pieces', () => {
  const visitor = (hash: string, size: number) => ({
    hash,
    registers: Array.from({ length: size }, (_, n) => ({ name: `n${n}`, done: at(n), open: [] })),
    keptUntilMs: 1,
  })
  const event = (name: string) => ({ event: name, stamp: at(0), atMs: 0, done: true, keptUntilMs: 1 })
  const units = [{ account: '', lastMs: 1, units: 5 }]

  it('a small state is one piece, even if it is empty', () => {
    const part: MovedState = { id: 'x', lostMs: 3, units, visitors: [visitor('a', 2)], events: [event('e')] }
    expect([...piecesOf(part, 10)]).toEqual([part])
    expect([...piecesOf({ units: [], visitors: [], events: [] }, 10)]).toEqual([
      { units: [], visitors: [], events: [] },
    ])
  })

  it('a large state is several pieces, each within the bound; units, loss and id are only in the first', () => {
    const part: MovedState = {
      id: 'x',
      lostMs: 3,
      units,
      visitors: [visitor('a', 7), visitor('b', 0), visitor('c', 1)],
      events: Array.from({ length: 5 }, (_, n) => event(`e${n}`)),
    }
    const pieces = [...piecesOf(part, 3)]
    for (const { visitors, events } of pieces)
      expect(
        visitors.reduce((sum, { registers }) => sum + Math.max(1, registers.length), 0) + events.length,
      ).toBeLessThanOrEqual(3)
    expect(
      pieces.flatMap(({ visitors }) =>
        visitors.flatMap(({ hash, registers }) => registers.map(({ name }) => `${hash}${name}`)),
      ),
    ).toEqual([...part.visitors.flatMap(({ hash, registers }) => registers.map(({ name }) => `${hash}${name}`))])
    expect(pieces.flatMap(({ events }) => events)).toEqual(part.events)
    expect(pieces.map((piece) => [piece.id, piece.lostMs, piece.units.length])).toEqual([
      ['x', 3, 1],
      ...pieces.slice(1).map(() => [undefined, undefined, 0]),
    ])
  })
})

describe('what is remembered of an import', () => {
  it('is removed once none of its units can count', async () => {
    let nowMs = startMs
    const part = (id: string): MovedState => ({
      id,
      units: [{ account: '', lastMs: nowMs, units: 5 }],
      visitors: [],
      events: [],
    })
    const database = new DatabaseSync(':memory:')
    const ledger = sqlWatched(nodeSqlite(database), settings, { now: () => nowMs })
    const memos = () => database.prepare("SELECT name FROM relay_memo WHERE name LIKE 'moved-in:%' ORDER BY name").all()
    const first = part('first')
    await ledger.moveIn(first)
    await ledger.moveIn(first)
    expect((await ledger.usage()).used).toBe(5)
    // Written by an older version: kept for ever.
    database.exec("INSERT INTO relay_memo (name, value) VALUES ('moved-in:older', '1')")
    nowMs += 2 * (settings.quotaWindowMs + settings.quotaSlackMs)
    await ledger.moveIn(part('second'))
    expect(memos()).toEqual([{ name: 'moved-in:older' }, { name: 'moved-in:second' }])
    const redis = onRedis({ now: () => nowMs })
    await redis.ledger.moveIn(part('third'))
    const ttlMs = Number(await standIn.command('PTTL', `${redis.prefix}:memo:moved-in:third`))
    expect(ttlMs).toBeGreaterThan(settings.quotaWindowMs + settings.quotaSlackMs)
    expect(ttlMs).toBeLessThanOrEqual(2 * (settings.quotaWindowMs + settings.quotaSlackMs))
  })
})

describe('where a visitor’s attributes are', () => {
  it('says if there are more than are listed', async () => {
    const known = Array.from({ length: 3 }, (_, n) => ({ name: `n${n}`, done: at(n) }))
    const find = (attributesListed: number) =>
      createFind({
        hasher: { visitor: async () => 'hash' } as never,
        ledger: { visitor: async () => known.slice(0, attributesListed), history: async () => undefined },
        backlog: {
          list: async () => ({ items: [] }),
          deadHeads: async () => ({ items: [] }),
          readDead: async () => undefined,
          operations: 0,
        },
        clock: { now: () => 0 },
        maxOperations: 100,
        limits: { ...defaultLimits, attributesListed },
      })({ thirdPartyId: '1' })
    expect(await find(3)).toMatchObject({ more: true, attributes: [{ name: 'n0' }, { name: 'n1' }, { name: 'n2' }] })
    expect(await find(4)).not.toHaveProperty('more')
  })
})

describe('the value that was delivered last', () => {
  const delivered = async (ledger: Ledger, visitorHash: string) => {
    const attributes = [{ name: 'tier', stamp: at(0), hash: '0123456789abcdef' }]
    const one = { ...request(visitorHash, [], 0), attributes }
    await ledger.admit([one], 'live')
    const settled = attributes.map((each) => ({ ...each, outcome: 'delivered' as const }))
    await ledger.settle([{ visitorHash, token: one.token, attributes: settled }])
    return (ms: number) =>
      verdicts(ledger, {
        ...request(visitorHash, [], ms),
        attributes: [{ ...attributes[0], name: 'tier', stamp: at(ms) }],
      })
  }

  it('stands on Redis where older versions look for the token of an open attempt, and find none', async () => {
    const { ledger, prefix } = onRedis({ now: () => startMs })
    const ask = await delivered(ledger, 'a-visitor')
    expect(await ask(1)).toEqual(['unchanged'])
    const kept = String(await standIn.command('HGET', `${prefix}:v:a-visitor`, 'a:tier'))
    // As a version without it reads a register, and the token, life and bucket of its attempt.
    const [, done, open, admittedAt, token = ''] =
      /^([^|]*)[|]([^|]*)[|]([^|]*)[|]([^|]*)[|]([^|]*)[|]([^|]*)$/.exec(kept) ?? []
    expect([done, open, admittedAt]).toEqual([at(1), '', ''])
    expect(/^([^~]*)~?([0-9]*)~?([0-9]*)$/.exec(token)?.slice(1)).toEqual([token, '', ''])
  })

  it('is void where a version that does not know it has moved `done`', async () => {
    const { ledger, prefix } = onRedis({ now: () => startMs })
    const ask = await delivered(ledger, 'a-visitor')
    const key = `${prefix}:v:a-visitor`
    const kept = String(await standIn.command('HGET', key, 'a:tier'))
    await standIn.command('HSET', key, 'a:tier', kept.replace(at(0), at(1)))
    expect(await ask(2)).toEqual(['send'])
  })

  it('does not move to another ledger: the next value is sent', async () => {
    const from = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, { now: () => startMs })
    const to = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, { now: () => startMs })
    await (await delivered(from, 'a-visitor'))(1)
    await moveAll(from, to)
    const again = {
      ...request('a-visitor', [], 2),
      attributes: [{ name: 'tier', stamp: at(2), hash: '0123456789abcdef' }],
    }
    expect(await verdicts(to, again)).toEqual(['send'])
  })
})
