/** How figures are stored: what an older version counted, and that old slots do not pile up. */
import { DatabaseSync } from 'node:sqlite'
import { Redis } from '@upstash/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Ledger } from '../../../src/core/ledger/port.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { contractSettings } from '../../contract/ledger.ts'
import { sqlWatched, upstashWatched } from '../../support/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../support/upstash-stand-in.ts'

const startMs = 1_790_000_000_000
const hourMs = 3_600_000
const clock = { nowMs: startMs, now: () => clock.nowMs }
let standIn: UpstashStandIn
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

interface Opened {
  readonly ledger: Ledger
  /** What the version before counts. */
  count(name: string, n: number): Promise<void>
  /** Slots that are kept, the totals among them. */
  slots(): Promise<number>
}

async function onSql(): Promise<Opened> {
  const database = new DatabaseSync(':memory:')
  database.exec('CREATE TABLE relay_counter (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID')
  return {
    ledger: sqlWatched(nodeSqlite(database), contractSettings, clock),
    count: async (name, n) => {
      database.prepare('INSERT INTO relay_counter VALUES (?, ?)').run(name, n)
    },
    slots: async () =>
      Number(database.prepare('SELECT COUNT(DISTINCT start_ms) AS slots FROM relay_slot').get()?.['slots']),
  }
}

let serial = 0
async function onRedis(): Promise<Opened> {
  const { url, token } = standIn
  const prefix = `figures${process.pid}-${++serial}`
  const redis = new Redis({ url, token })
  return {
    ledger: upstashWatched({
      url,
      token,
      prefix,
      settings: contractSettings,
      timeoutMs: 5_000,
      now: clock.now,
    }),
    count: async (name, n) => {
      await redis.hincrby(`${prefix}:counters`, name, n)
    },
    slots: async () => (await redis.keys(`${prefix}:slots|*`)).length,
  }
}

describe.each([
  ['SQL', onSql],
  ['Redis', onRedis],
])('figures on %s', (_, open) => {
  it('what an older version counted stays in the totals, without a source', async () => {
    clock.nowMs = startMs
    const { ledger, count } = await open()
    await count('received', 5)
    await count('unauthenticated.crm', 2)
    await ledger.settle([], { 'crm/live/received': 1 })
    const { counters, totals } = await ledger.usage()
    expect(totals).toEqual({ '': { received: 5, 'unauthenticated.crm': 2 }, 'crm/live': { received: 1 } })
    expect(counters).toEqual({ received: 6, 'unauthenticated.crm': 2 })
  })

  it('slots of ten days are 73 h of slots and the totals', async () => {
    clock.nowMs = startMs
    const { ledger, slots } = await open()
    for (let hour = 0; hour < 240; hour++) {
      await ledger.settle([], { 'crm/live/received': 1 })
      clock.nowMs += hourMs
    }
    expect(await slots()).toBeLessThanOrEqual(76)
    expect((await ledger.usage()).counters).toEqual({ received: 240 })
  })
})
