/** How much room a visitor and an event take, which is on docs/costs.md, and that what has expired gives its room back. */
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Entry } from '../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../src/core/backlog/sqlite.ts'
import type { Ledger } from '../../src/core/ledger/port.ts'
import { registerLifeMs } from '../../src/core/ledger/rules/register.ts'
import { eventLifetimeMs, type LedgerSettings } from '../../src/core/ledger/rules/settings.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { parseAll } from '../../src/relay/create.ts'
import { ledgerSettings } from '../../src/relay/settings.ts'
import { fakeClock, seededRandom } from '../support/clock.ts'
import { sqlWatched, upstashWatched } from '../support/ledger.ts'
import { plainSeal } from '../support/seal.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'

const page = readFileSync(new URL('../../docs/costs.md', import.meta.url), 'utf8')
const settings: LedgerSettings = (() => {
  const parsed = parseAll(settingsFor('https://demo.tt.omtrdc.net'), [])
  if (!parsed.ok) throw new Error(parsed.problems.join())
  return ledgerSettings(parsed.settings)
})()
const names = ['loanStatus', 'loanAmount', 'lastStore']
const dayMs = 86_400_000
const million = 1_000_000
const startMs = 1_790_000_000_000

const pageCount = (database: DatabaseSync) => Number(database.prepare('PRAGMA page_count').get()?.['page_count'])

/** An update of a visitor and an event of their own that is delivered, as the door does it. */
async function deliver(ledger: Ledger, random: ReturnType<typeof seededRandom>, nowMs: number, attributes = names) {
  const [visitorHash, event, token] = [random.hex(16), random.hex(16), random.hex(12)]
  const stamp = makeStamp(nowMs, nowMs, random.hex(8))
  const each = attributes.map((name) => ({ name, stamp }))
  const [admission] = await ledger.admit([{ visitorHash, event, token, attributes: each, units: 1 }], 'live')
  expect(admission).toMatchObject({ event: 'open' })
  await ledger.settle(
    [
      {
        ...{ visitorHash, token, eventDone: event, signal: 'up' },
        attributes: each.map((one) => ({ ...one, outcome: 'delivered' })),
        note: { kind: 's', source: 'call-centre', names: attributes, stamp },
      },
    ],
    { 'call-centre/live/submitted': 1 },
  )
}

function entryOf(random: ReturnType<typeof seededRandom>, n: number): Entry {
  return {
    ...{ stamp: makeStamp(startMs + n, startMs + n, random.hex(8)), source: 'api', firstSeenMs: startMs },
    ...{ visitor: { thirdPartyId: `v${n}` }, visitorHash: random.hex(16) },
    attributes: names.map((name) => ({ name, value: random.hex(30) })),
  }
}

/** What the page says of one kind of store. */
function onPage(store: string): readonly number[] {
  const [row = ''] = page.split('\n').filter((line) => line.startsWith(`| ${store} `))
  return row
    .split('|')
    .slice(2, -1)
    .map((cell) => Number.parseFloat(cell))
}

/** A table's figures follow from the bytes: the page rounds them to tens, and gigabytes to a tenth. */
function rowOf(visitorBytes: number, eventBytes: number, eventDays: number): readonly number[] {
  const gb = (bytes: number) => Math.round(bytes / 1e8) / 10
  const tens = (bytes: number) => Math.round(bytes / 10) * 10
  return [
    tens(visitorBytes),
    tens(eventBytes),
    gb(tens(visitorBytes) * million),
    gb(tens(eventBytes) * million * eventDays),
  ]
}

describe('what a visitor and an event take', () => {
  it('on SQLite is what the page says', async () => {
    const [clock, random, count] = [fakeClock(), seededRandom(1), 4_000]
    const database = new DatabaseSync(':memory:')
    const ledger = sqlWatched(nodeSqlite(database), settings, clock)
    for (let n = 0; n < count; n++) await deliver(ledger, random, clock.now())
    const bytesOf = (table: string) =>
      Number(
        database.prepare('SELECT sum(pgsize) AS bytes FROM dbstat WHERE name IN (?, ?)').get(table, `${table}_until`)?.[
          'bytes'
        ],
      ) / count
    // An event's row is removed one of its lifetimes after it has ended.
    const eventDays = (2 * eventLifetimeMs(settings)) / dayMs
    expect(onPage('SQLite, an object')).toEqual(rowOf(bytesOf('relay_visitor'), bytesOf('relay_event'), eventDays))
  })

  it('on Redis is what the page says', async () => {
    await using standIn = await startUpstashStandIn()
    const [random, count] = [seededRandom(1), 100]
    const prefix = 'tr1'
    const ledger = upstashWatched({ url: standIn.url, token: standIn.token, prefix, settings, timeoutMs: 5_000 })
    await ledger.check()
    for (let n = 0; n < count; n++) await deliver(ledger, random, Date.now())
    const bytesOf = async (kind: string) => {
      const keys = (await standIn.command('KEYS', `${prefix}:${kind}:*`)) as string[]
      expect(keys).toHaveLength(count)
      let bytes = 0
      for (const key of keys) bytes += Number(await standIn.command('MEMORY', 'USAGE', key))
      return bytes / count
    }
    const eventDays = eventLifetimeMs(settings) / dayMs
    expect(onPage('Redis')).toEqual(rowOf(await bytesOf('v'), await bytesOf('e'), eventDays))
  })
})

describe('what has expired gives its room back', () => {
  it('on SQLite: visitors, their pages, events, buckets, figures, acts, cancelled admissions', async () => {
    const [clock, random] = [fakeClock(), seededRandom(2)]
    const database = new DatabaseSync(':memory:')
    const ledger = sqlWatched(nodeSqlite(database), settings, clock, {
      ...defaultLimits,
      actsKept: 20,
      registersPerPage: 4,
    })
    const many = Array.from({ length: 12 }, (_, n) => `attribute${n}`)
    const lifeMs = 2 * Math.max(registerLifeMs(settings), eventLifetimeMs(settings))
    const stepMs = lifeMs / 200
    const pages: number[] = []
    for (let life = 0; life < 8; life++) {
      for (let step = 0; step < 200; step++) {
        await deliver(ledger, random, clock.now(), step % 4 === 0 ? many : names)
        await ledger.recordAct(`{"at":"${clock.now()}","what":"pause"}`)
        await ledger.lease('flush', random.hex(8), 60_000)
        if (step % 10 === 0)
          await ledger.cancel([{ visitorHash: random.hex(16), attributes: [], units: 1, token: random.hex(12) }])
        await clock.advance(stepMs)
      }
      pages.push(pageCount(database))
    }
    // Level once the first lifetimes are over, but for pages that are filled a little better or worse.
    const [, , third = 0] = pages
    expect(Math.max(...pages.slice(3)), JSON.stringify(pages)).toBeLessThanOrEqual(third * 1.05)
  }, 120_000)

  it('a server writes as many rows for an entry as the page says', async () => {
    const database = new DatabaseSync(':memory:')
    const random = seededRandom(5)
    const backlog = sqliteBacklog(nodeSqlite(database), { randomHex: random.hex, seal: plainSeal })
    const rows = () => Number(database.prepare('SELECT total_changes() AS rows').get()?.['rows'])
    const before = rows()
    const key = await backlog.put(entryOf(random, 0))
    const kept = rows()
    await backlog.delete(key)
    expect(page).toContain(
      `writes ${kept - before} rows for an entry that comes and ${rows() - kept} for one that goes`,
    )
  })

  it('on SQLite: what waited and was replayed, and letters that were dropped', async () => {
    const database = new DatabaseSync(':memory:')
    const random = seededRandom(3)
    const backlog = sqliteBacklog(nodeSqlite(database), { randomHex: random.hex, seal: plainSeal })
    const pages: number[] = []
    for (let round = 0; round < 6; round++) {
      const keys: string[] = []
      for (let n = 0; n < 300; n++) {
        const entry = entryOf(random, n)
        keys.push(await backlog.put(entry))
        keys.push(
          await backlog.bury({
            ...{ entry, reason: 'rejected', source: 'api', atMs: startMs, firstSeenMs: startMs, attempts: 1 },
          }),
        )
      }
      await Promise.all(keys.map((key) => backlog.delete(key)))
      pages.push(pageCount(database))
    }
    expect(Math.max(...pages.slice(1)), JSON.stringify(pages)).toBeLessThanOrEqual((pages[0] ?? 0) * 1.05)
  }, 60_000)

  it('on Redis: each key expires, but for those of which there is one', async () => {
    await using standIn = await startUpstashStandIn()
    const random = seededRandom(4)
    const ledger = upstashWatched({
      ...{ url: standIn.url, token: standIn.token, prefix: 'tr1', settings, timeoutMs: 5_000 },
      limits: { ...defaultLimits, registersPerPage: 4 },
    })
    await ledger.check()
    const many = Array.from({ length: 12 }, (_, n) => `attribute${n}`)
    await deliver(ledger, random, Date.now())
    await deliver(ledger, random, Date.now(), many)
    const stamp = makeStamp(Date.now(), Date.now(), random.hex(8))
    await ledger.firstStamps([{ event: random.hex(16), stamp }])
    await ledger.erase(random.hex(16))
    await ledger.recordAct('{}')
    await ledger.lease('flush', 'somebody', 60_000)
    await ledger.remember('flush', 'x')
    await ledger.cancel([{ visitorHash: random.hex(16), attributes: [], units: 1, token: random.hex(12) }])
    const [visitorHash, token] = [random.hex(16), random.hex(12)]
    await ledger.admit(
      [{ visitorHash, token, units: 1, attributes: [{ name: 'a', stamp }], source: { name: 'crm', units: 5 } }],
      'live',
    )
    await ledger.settle(
      [
        {
          visitorHash,
          token,
          attributes: [{ name: 'a', stamp, outcome: 'unsent' }],
          backoff: { attempts: 1, waitMs: 9 },
        },
      ],
      {},
      { crm: 5 },
    )
    const forEver: string[] = []
    for (const key of (await standIn.command('KEYS', '*')) as string[])
      if (Number(await standIn.command('PTTL', key)) < 0) forEver.push(key)
    const single = /^tr1:(quota|quota\|ends|leads|health|acts|slots|memo:flush|memo:owner|slots\|\d+)$/
    expect(forEver.filter((key) => !single.test(key))).toEqual([])
  })
})
