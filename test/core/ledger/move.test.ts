import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll } from 'vitest'
import type { Ledger, LedgerStore } from '../../../src/core/ledger/port.ts'
import { upstashLedger } from '../../../src/core/ledger/redis/ledger.ts'
import type { LedgerSettings } from '../../../src/core/ledger/rules/settings.ts'
import { sqlLedger } from '../../../src/core/ledger/sql/ledger.ts'
import { defaultLimits, type Limits } from '../../../src/core/limits.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { ledgerIdentityContract, type MakeStore } from '../../contract/ledger-identity.ts'
import { ledgerMoveContract } from '../../contract/ledger-move.ts'
import { sqlWatched, upstashWatched } from '../../support/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../support/upstash-stand-in.ts'

let standIn: UpstashStandIn
let serial = 0
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())
// The next test would have to scan what this one leaves behind.
afterEach(async () => {
  const keys = (await standIn.command('KEYS', `move${process.pid}-*`)) as string[]
  for (let from = 0; from < keys.length; from += 1_000)
    await standIn.command('UNLINK', ...keys.slice(from, from + 1_000))
})

/** A ledger under its own prefix. */
const freshUpstash = (settings: LedgerSettings, clock: { now: () => number }) => ({
  url: standIn.url,
  token: standIn.token,
  settings,
  timeoutMs: 20_000,
  prefix: `move${process.pid}-${++serial}`,
  now: clock.now,
})
const sqlWith = (limits: Limits) => (settings: LedgerSettings, clock: { now: () => number }) =>
  sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, clock, limits)
const upstashWith = (limits: Limits) => (settings: LedgerSettings, clock: { now: () => number }) =>
  upstashWatched({ ...freshUpstash(settings, clock), limits })

const [sql, upstash] = [sqlWith(defaultLimits), upstashWith(defaultLimits)]
const tiny: Limits = { ...defaultLimits, registersPerPage: 2, registersPerPart: 10 }

/** Begins a new epoch, as is done after a loss. */
const makeLost = async (ledger: Ledger) => {
  await (ledger as Ledger & LedgerStore).begin('after-a-loss', { lost: true, after: 'the-one-before' })
  await ledger.restate(0)
}

ledgerMoveContract('SQL to Upstash', sql, upstash, makeLost)
ledgerMoveContract('Upstash to SQL', upstash, sql, makeLost)
ledgerMoveContract('SQL to SQL', sql, sql, makeLost)
ledgerMoveContract('Upstash to Upstash', upstash, upstash, makeLost)
ledgerMoveContract('SQL to Upstash, pages of two', sqlWith(tiny), upstashWith(tiny), makeLost)
ledgerMoveContract('Upstash to SQL, pages of two', upstashWith(tiny), sqlWith(tiny), makeLost)

const sqlStore: MakeStore = (settings, clock) => sqlLedger(nodeSqlite(new DatabaseSync(':memory:')), settings, clock)
const upstashStore: MakeStore = (settings, clock) => upstashLedger(freshUpstash(settings, clock))

ledgerIdentityContract('SQL, then Upstash', sqlStore, upstashStore)
ledgerIdentityContract('Upstash, then SQL', upstashStore, sqlStore)
ledgerIdentityContract('SQL', sqlStore, sqlStore)
ledgerIdentityContract('Upstash', upstashStore, upstashStore)
