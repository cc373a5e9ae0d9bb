import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll } from 'vitest'
import type { Ledger, LedgerSettings, LedgerStore } from '../../../src/core/ledger/port.ts'
import { nodeSqlite } from '../../../src/core/ledger/sqlite-node.ts'
import { ledgerMoveContract } from '../../contract/ledger-move.ts'
import { seededRandom } from '../../support/clock.ts'
import { sqlWatched, upstashWatched } from '../../support/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../support/upstash-stand-in.ts'

let standIn: UpstashStandIn
let serial = 0
const random = seededRandom(11)
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

const sql = (settings: LedgerSettings, clock: { now: () => number }) =>
  sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, clock)
const upstash = (settings: LedgerSettings, clock: { now: () => number }) =>
  upstashWatched({
    url: standIn.url,
    token: standIn.token,
    settings,
    timeoutMs: 20_000,
    randomHex: random.hex,
    prefix: `move${process.pid}-${++serial}`,
    now: clock.now,
  })

/** As the watch over a store has it when an epoch is gone. */
const makeLost = async (ledger: Ledger) => {
  await (ledger as Ledger & LedgerStore).begin('after-a-loss', true, 'the-one-before')
  await ledger.restate(0)
}

ledgerMoveContract('SQL to Upstash', sql, upstash, makeLost)
ledgerMoveContract('Upstash to SQL', upstash, sql, makeLost)
ledgerMoveContract('SQL to SQL', sql, sql, makeLost)
ledgerMoveContract('Upstash to Upstash', upstash, upstash, makeLost)
