import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll } from 'vitest'
import type { LedgerSettings } from '../../../src/core/ledger/port.ts'
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

ledgerMoveContract('SQL to Upstash', sql, upstash)
ledgerMoveContract('Upstash to SQL', upstash, sql)
ledgerMoveContract('SQL to SQL', sql, sql)
ledgerMoveContract('Upstash to Upstash', upstash, upstash)
