import { DatabaseSync } from 'node:sqlite'
import { sqlLedger } from '../../../src/core/ledger/sql.ts'
import { nodeSqlite } from '../../../src/core/ledger/sqlite-node.ts'
import { ledgerContract } from '../../contract/ledger.ts'

ledgerContract('SQL on node:sqlite', {
  make: async (settings, clock) => sqlLedger(nodeSqlite(new DatabaseSync(':memory:')), settings, clock),
})
