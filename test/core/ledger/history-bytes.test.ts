/** What a time line costs: a typical visitor has at most a third more bytes than without it. */
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Ledger, Settlement } from '../../../src/core/ledger/port.ts'
import type { Note } from '../../../src/core/ledger/rules/history.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { at, contractSettings } from '../../contract/ledger.ts'
import { sqlWatched, upstashWatched } from '../../support/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../support/upstash-stand-in.ts'

const startMs = 1_790_000_000_000
const hash = '0123456789abcdef0123456789abcdef'
const names = ['loanStatus', 'loyaltyTier', 'lastCallOutcome', 'openCase', 'preferredBranch', 'creditLimit']
let standIn: UpstashStandIn
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

/** Eight updates of two sources over days, each of one or two attributes; the last deferred and replayed. */
async function live(ledger: Ledger, clock: { nowMs: number }, attributes: number, noted: boolean): Promise<void> {
  const told = async (kind: Note['kind'], used: readonly string[], receivedMs: number, digit?: number) => {
    const settlement: Settlement = {
      visitorHash: hash,
      token: '',
      attributes: used.map((name) => ({ name, stamp: at(receivedMs - startMs), outcome: 'delivered' })),
    }
    const note: Note = {
      kind,
      source: used.length > 1 ? 'call-centre' : 'loan',
      names: used,
      stamp: at(receivedMs - startMs),
      ...(digit === undefined ? {} : { digit }),
    }
    await ledger.settle([noted ? { ...settlement, note } : settlement])
  }
  await told('s', names.slice(0, attributes), clock.nowMs)
  for (let n = 0; n < 5; n++) {
    clock.nowMs += 7 * 3_600_000 + n * 1_234_567
    await told('s', names.slice(n % attributes, (n % attributes) + 1 + (n % 2)).slice(0, attributes), clock.nowMs)
  }
  const receivedMs = clock.nowMs + 3_600_000
  clock.nowMs = receivedMs + 1_800_000
  await told('d', names.slice(0, 1), receivedMs, 0)
  await told('r', names.slice(0, 1), receivedMs)
}

const sqlBytes = async (attributes: number, noted: boolean) => {
  const clock = { nowMs: startMs, now: () => clock.nowMs }
  const database = new DatabaseSync(':memory:')
  await live(sqlWatched(nodeSqlite(database), contractSettings, clock), clock, attributes, noted)
  const row = database.prepare('SELECT LENGTH(registers) AS bytes FROM relay_visitor').get()
  // Hash and end lie in the row and once more in the index of the end; both have headers.
  return Number(row?.['bytes']) + 2 * (hash.length + 6 + 6)
}

let serial = 0
const redisBytes = async (attributes: number, noted: boolean) => {
  const clock = { nowMs: startMs, now: () => clock.nowMs }
  const prefix = `bytes${process.pid}-${++serial}`
  const ledger = upstashWatched({
    url: standIn.url,
    token: standIn.token,
    prefix,
    settings: contractSettings,
    timeoutMs: 5_000,
    now: clock.now,
  })
  await live(ledger, clock, attributes, noted)
  return Number(await standIn.command('MEMORY', 'USAGE', `${prefix}:v:${hash}`))
}

describe.each([
  ['SQL', sqlBytes],
  ['Redis', redisBytes],
])('a visitor on %s', (_, bytesOf) => {
  it.each([3, 4, 6])('with %i attributes and eight happenings has at most a third more bytes', async (attributes) => {
    const [without, having] = [await bytesOf(attributes, false), await bytesOf(attributes, true)]
    expect(having).toBeGreaterThan(without)
    expect(having / without).toBeLessThanOrEqual(4 / 3)
  })
})
