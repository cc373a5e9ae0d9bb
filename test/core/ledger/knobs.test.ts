/**
 * Settings that change between restarts, and stores written by another version: spent units stay spent (G1), no old value
 * overtakes a newer one that was forgotten (G3), and nothing waits for ever (G7).
 */
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newEpochMemory, type Witness } from '../../../src/core/ledger/loss/epoch.ts'
import type { Ledger } from '../../../src/core/ledger/port.ts'
import { upstashLedger } from '../../../src/core/ledger/redis/ledger.ts'
import type { LedgerSettings } from '../../../src/core/ledger/rules/settings.ts'
import { sqlLedger } from '../../../src/core/ledger/sql/ledger.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { contractSettings } from '../../contract/ledger.ts'
import { memoryWitness, watched } from '../../support/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../support/upstash-stand-in.ts'

const startMs = 1_790_000_000_000
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
let standIn: UpstashStandIn
let serial = 0
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

const limit = 12
const daily: LedgerSettings = {
  ...contractSettings,
  quotaLimit: limit,
  replayReserve: 0,
  pace: 'none',
  quotaWindowMs: dayMs,
  quotaBucketMs: minuteMs,
  quotaSlackMs: 15_000,
  retentionMs: 72 * hourMs,
}
/** The last millisecond of the minute that holds `ms`. */
const lastOf = (ms: number) => (Math.floor(ms / minuteMs) + 1) * minuteMs - 1

interface Store {
  open(settings: LedgerSettings): Ledger
  /** Removes all visitors, as after the end of their lifetime. */
  expire(): Promise<void>
  readonly logged: string[]
}
type MakeStore = (
  clock: { now: () => number },
  prepare?: (sql: DatabaseSync | undefined, quotaKey: string) => Promise<unknown>,
) => Promise<Store>

const watching = (store: Parameters<typeof watched>[0], witness: Witness, logged: string[]) =>
  watched(store, { witness, memory: newEpochMemory(), log: (event) => logged.push(event) })

const makeSql: MakeStore = async (clock, prepare) => {
  const database = new DatabaseSync(':memory:')
  await prepare?.(database, '')
  const [sql, witness, logged] = [nodeSqlite(database), memoryWitness(), [] as string[]]
  const expire = async () => void database.exec('DELETE FROM relay_visitor')
  return { open: (settings) => watching(sqlLedger(sql, settings, clock), witness, logged), expire, logged }
}
const makeUpstash: MakeStore = async (clock, prepare) => {
  const prefix = `k${process.pid}-${++serial}`
  await prepare?.(undefined, `${prefix}:quota`)
  const [witness, logged] = [memoryWitness(), [] as string[]]
  const shared = { url: standIn.url, token: standIn.token, timeoutMs: 5_000, prefix, now: clock.now }
  const expire = async () => {
    for (const key of (await standIn.command('KEYS', `${prefix}:v:*`)) as string[]) await standIn.command('DEL', key)
  }
  return { open: (settings) => watching(upstashLedger({ ...shared, settings }), witness, logged), expire, logged }
}

const request = (visitorHash: string, stampMs: number, units = 1) => ({
  visitorHash,
  attributes: [{ name: 'tier', stamp: makeStamp(stampMs, stampMs, '0'.repeat(16)) }],
  units,
  token: `token-${++serial}`,
})
const verdict = async (ledger: Ledger, visitorHash: string, stampMs: number, units = 1) => {
  const [answer] = await ledger.admit([request(visitorHash, stampMs, units)], 'replay')
  return answer?.event === 'open' ? answer.verdicts[0] : answer?.event
}
/** Makes calls of `units` until the quota refuses one; how many were admitted. */
const drain = async (ledger: Ledger, nowMs: number, units: number) => {
  for (let calls = 0; ; calls++) if ((await verdict(ledger, `drain-${++serial}`, nowMs, units)) !== 'send') return calls
}

/** Other values for the settings in `daily`. `units` is what a call spends, which TARGET_METHOD changes. */
const turns = {
  bucket: [{ quotaBucketMs: 10_000 }, { quotaBucketMs: 13_000 }, { quotaBucketMs: 10 * minuteMs }],
  window: [{ quotaWindowMs: 12 * hourMs }, { quotaWindowMs: 2 * dayMs }, { quotaWindowMs: 6 * dayMs }],
  retention: [{ retentionMs: 24 * hourMs }, { retentionMs: 10 * dayMs }],
  method: [{ units: 2 }],
} as const
type Turn = Partial<LedgerSettings> & { units?: number }
const kinds = Object.values(turns) as readonly (readonly Turn[])[]
const pairs = kinds.flatMap((some, index) =>
  kinds.slice(index + 1).flatMap((others) => some.flatMap((one) => others.map((other) => ({ ...one, ...other })))),
)
const named = (turn: Turn) => JSON.stringify(turn)
const both = [...kinds.flat(), ...pairs].flatMap((turn): [string, Turn, Turn][] => [
  [`to ${named(turn)}`, {}, turn],
  [`from ${named(turn)}`, turn, {}],
])

describe.each<[string, MakeStore]>([
  ['SQL', makeSql],
  ['Upstash', makeUpstash],
])('%s', (_, make) => {
  it.each(both)(
    'a restart %s grants nothing twice, lets no old value overtake, and does not block',
    async (_name, from, to) => {
      let nowMs = startMs
      const store = await make({ now: () => nowMs })
      const [before, after] = [
        { ...daily, ...from },
        { ...daily, ...to },
      ]
      const one = store.open(before)
      const newer = request('v', startMs)
      await one.admit([newer], 'replay')
      await one.settle([
        {
          ...newer,
          attributes: newer.attributes.map((attribute) => ({ ...attribute, outcome: 'delivered' as const })),
        },
      ])
      expect(await drain(one, nowMs, from.units ?? 1)).toBe(Math.floor((limit - 1) / (from.units ?? 1)))
      const { used } = await one.usage()

      nowMs += minuteMs
      const sinceMs = nowMs
      const other = store.open(after)
      expect((await other.usage()).used).toBe(used)
      expect(await drain(other, nowMs, to.units ?? 1)).toBe(Math.floor((limit - used) / (to.units ?? 1)))
      nowMs = startMs + after.quotaWindowMs - 1
      expect(await drain(other, nowMs, to.units ?? 1)).toBe(0)
      nowMs += after.quotaSlackMs + 2 * Math.max(before.quotaBucketMs, after.quotaBucketMs) + 2 * minuteMs
      expect(await drain(other, nowMs, to.units ?? 1)).toBe(Math.floor(limit / (to.units ?? 1)))

      // Once the newer value is forgotten, an older one is too old to be sent; what came in since then is not.
      await store.expire()
      nowMs = Math.max(nowMs + after.quotaWindowMs + 20 * minuteMs, startMs + before.retentionMs)
      if (nowMs <= startMs + before.retentionMs) nowMs++
      const aged = nowMs - (startMs - 1)
      if (aged > Math.min(before.retentionMs, after.retentionMs))
        expect(await verdict(other, 'v', startMs - 1)).toBe('expired')
      if (nowMs - sinceMs <= after.retentionMs) expect(await verdict(other, 'w', sinceMs)).toBe('send')
      expect(store.logged).toEqual([])
    },
  )

  it('an attempt is in flight by the time-out of the process that made it, not of the one that reads it', async () => {
    let nowMs = startMs
    const store = await make({ now: () => nowMs })
    const [slow, quick] = [store.open({ ...daily, inFlightMs: 30_000 }), store.open({ ...daily, inFlightMs: 6_000 })]
    expect([await verdict(slow, 'v', startMs), await verdict(quick, 'w', startMs)]).toEqual(['send', 'send'])
    const newer = async (ledger: Ledger, visitor: string) => verdict(ledger, visitor, startMs + 1)
    nowMs += 6_001
    expect([await newer(quick, 'v'), await newer(slow, 'w')]).toEqual(['contended', 'send'])
    nowMs = startMs + 30_000
    expect(await newer(quick, 'v')).toBe('contended')
    nowMs++
    expect(await newer(quick, 'v')).toBe('send')
  })

  it('two processes with different settings share one quota, and neither frees or blocks what the other spent', async () => {
    let nowMs = startMs
    const store = await make({ now: () => nowMs })
    const [wide, narrow] = [
      store.open({ ...daily, quotaBucketMs: 10 * minuteMs }),
      store.open({ ...daily, quotaBucketMs: 10_000 }),
    ]
    for (let call = 0; call < limit; call++) {
      expect(await verdict(call % 2 === 0 ? wide : narrow, `v${call}`, nowMs)).toBe('send')
      nowMs += 3 * minuteMs
    }
    for (const ledger of [wide, narrow]) expect(await verdict(ledger, 'more', nowMs)).toBe('quota')
    // The other's bucket width delayed no end: the first unit is free at most one bucket after its time.
    nowMs = startMs + dayMs + daily.quotaSlackMs + 10 * minuteMs
    expect(await verdict(narrow, 'more', nowMs)).toBe('send')
  })

  it('if the window becomes longer than what is still known, the whole quota counts as spent, once, and it is logged', async () => {
    let nowMs = startMs
    const store = await make({ now: () => nowMs })
    const one = store.open(daily)
    await drain(one, nowMs, 1)
    nowMs += 3 * dayMs
    expect(await verdict(one, 'v', nowMs)).toBe('send')
    nowMs += hourMs
    const longer = store.open({ ...daily, quotaWindowMs: 6 * dayMs })
    expect(await verdict(longer, 'w', nowMs)).toBe('quota')
    expect(await verdict(longer, 'w', nowMs)).toBe('quota')
    expect(await longer.usage()).toMatchObject({ used: limit })
    expect(store.logged).toEqual(['quota_unknown'])
    nowMs += 6 * dayMs + hourMs
    expect(await drain(longer, nowMs, 1)).toBe(limit)
    expect(store.logged).toEqual(['quota_unknown'])
  })

  it('an attempt stored by an earlier version is judged by the reader’s time-outs and settled by its token', async () => {
    let nowMs = startMs
    const attempt = request('v', startMs)
    const [stamp = ''] = attempt.attributes.map((attribute) => attribute.stamp)
    const store = await make({ now: () => nowMs }, async (database, key) => {
      if (database === undefined) {
        await standIn.command('HSET', key.replace(/quota$/, 'v:v'), 'a:tier', `|${stamp}|${startMs}|${attempt.token}||`)
        return
      }
      database.exec(
        'CREATE TABLE relay_visitor (hash TEXT PRIMARY KEY, registers TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
      )
      const registers = JSON.stringify({ r: [['tier', { open: { stamp, atMs: startMs, token: attempt.token } }]] })
      database.prepare('INSERT INTO relay_visitor VALUES (?, ?, ?)').run('v', registers, startMs + dayMs)
    })
    const ledger = store.open({ ...daily, inFlightMs: 10_000 })
    nowMs += 10_000
    expect(await verdict(ledger, 'v', startMs + 1)).toBe('contended')
    await ledger.settle([{ ...attempt, attributes: [{ name: 'tier', stamp, outcome: 'delivered' }] }])
    expect([await verdict(ledger, 'v', startMs), await verdict(ledger, 'v', startMs + 1)]).toEqual([
      'delivered',
      'send',
    ])
  })

  describe('a store of the previous format', () => {
    const bucket = Math.floor(startMs / minuteMs)
    /** Units by bucket number, as format 1 kept them for all and for a source. */
    const old = (units: readonly (readonly [number, number])[], newest: number): Parameters<MakeStore>[1] => {
      const total = units.reduce((sum, [, some]) => sum + some, 0)
      return async (database, key) => {
        if (database === undefined) {
          const fields = units.flatMap(([number, some]) => [String(number), String(some)])
          const oldest = String(units[0]?.[0] ?? 0)
          const own = ['t', String(total), 'o', oldest, 'n', String(newest), 'g', '77', ...fields]
          await standIn.command('HSET', key, ...own, 'e', 'old-epoch', 'l', '5', 'r', ',before,')
          await standIn.command('HSET', `${key}:desk`, ...own)
          return
        }
        for (const statement of [
          'CREATE TABLE relay_units (account TEXT NOT NULL, bucket INTEGER NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (account, bucket)) WITHOUT ROWID',
          'CREATE TABLE relay_account (account TEXT PRIMARY KEY, total INTEGER NOT NULL, newest INTEGER NOT NULL, granted INTEGER NOT NULL) WITHOUT ROWID',
          'CREATE TABLE relay_epoch (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, lost_ms INTEGER NOT NULL)',
          'CREATE TABLE relay_replaced (epoch TEXT PRIMARY KEY) WITHOUT ROWID',
          "INSERT INTO relay_epoch VALUES (1, 'old-epoch', 5)",
          ...['', 'desk'].flatMap((account) => [
            `INSERT INTO relay_account VALUES ('${account}', ${total}, ${newest}, 77)`,
            ...units.map(([number, some]) => `INSERT INTO relay_units VALUES ('${account}', ${number}, ${some})`),
          ]),
        ])
          database.exec(statement)
      }
    }
    const fresh = [
      [bucket - 600, 4],
      [bucket - 1, 6],
      [bucket, 1],
    ] as const

    it('is read with the current bucket width, and frees units at the same times as before', async () => {
      let nowMs = startMs
      const store = await make({ now: () => nowMs }, old(fresh, bucket))
      const ledger = store.open(daily)
      await ledger.check()
      expect(await ledger.usage()).toMatchObject({
        used: 11,
        lostAtMs: 5,
        buckets: fresh.map(([number, units]) => [number * minuteMs, units]),
        nextFreeAtMs: (bucket - 600 + 1) * minuteMs + dayMs + 15_000,
      })
      expect(await drain(ledger, nowMs, 1)).toBe(1)
      nowMs = (bucket - 600 + 1) * minuteMs + dayMs + 15_000
      expect(await drain(ledger, nowMs, 1)).toBe(4)
      expect(store.logged).toEqual([])
    })

    it.each([
      ['narrower', 10_000],
      ['wider', 10 * minuteMs],
    ])('with a bucket width that is now %s, all spent units count as spent now', async (_name, quotaBucketMs) => {
      let nowMs = startMs
      const store = await make({ now: () => nowMs }, old(fresh, bucket))
      const ledger = store.open({ ...daily, quotaBucketMs })
      await ledger.check()
      expect((await ledger.usage()).used).toBe(11)
      nowMs += dayMs
      expect(await drain(ledger, nowMs, 1)).toBe(1)
      nowMs += 15_000 + 20 * minuteMs
      expect(await drain(ledger, nowMs, 1)).toBe(11)
    })

    it('takes over the shares of sources', async () => {
      const store = await make({ now: () => startMs }, old([[bucket, 1]], bucket))
      // Above its share nothing is left.
      const ledger = store.open({ ...daily, replayReserve: 0.25 })
      const admit = async (units: number) =>
        (
          await ledger.admit(
            [{ ...request(`v${++serial}`, startMs, units), source: { name: 'desk', units: 4 } }],
            'live',
          )
        )[0]
      expect(await admit(4)).toMatchObject({ verdicts: ['quota'] })
      expect(await admit(3)).toMatchObject({ verdicts: ['send'] })
    })

    it('is taken over only once', async () => {
      const store = await make({ now: () => startMs }, old(fresh, bucket))
      await store.open(daily).check()
      const again = store.open({ ...daily, quotaBucketMs: 10_000 })
      expect((await again.usage()).buckets.map(([startsMs, units]) => [startsMs + 10_000 - 1, units])).toEqual(
        fresh.map(([number, units]) => [lastOf(number * minuteMs), units]),
      )
    })
  })

  it('refuses a store of a newer format and says what to do', async () => {
    const store = await make({ now: () => startMs }, async (database, key) =>
      database === undefined
        ? standIn.command('HSET', key, 't', '3', 'v', '3')
        : database.exec(
            "CREATE TABLE relay_ledger (id INTEGER PRIMARY KEY, format INTEGER NOT NULL, confirms INTEGER NOT NULL, confirmed_ms INTEGER NOT NULL, retentions TEXT NOT NULL); INSERT INTO relay_ledger VALUES (1, 3, 0, 0, '[]')",
          ),
    )
    await expect((async () => store.open(daily).usage())()).rejects.toThrow(
      'has format 3 and this version reads up to 2: run the version',
    )
  })
})

it('a version of format 1 that starts on a file of format 2 can grant nothing', async () => {
  const database = new DatabaseSync(':memory:')
  await sqlLedger(nodeSqlite(database), daily, { now: () => startMs }).usage()
  // What such a version does at its start and then for each admission.
  database.exec(
    'CREATE TABLE IF NOT EXISTS relay_units (account TEXT NOT NULL, bucket INTEGER NOT NULL, units INTEGER NOT NULL)',
  )
  expect(() => database.exec("INSERT INTO relay_units (account, bucket, units) VALUES ('', 1, 1)")).toThrow('view')
})
