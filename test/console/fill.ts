/** A store with very much in it, written as the relay itself would have. */

import type { DatabaseSync } from 'node:sqlite'
import { deadKey, entryKey, packDead, packEntry, postSize } from '../../src/core/backlog/entry-format.ts'
import { headOf } from '../../src/core/backlog/head-format.ts'
import { writeHead } from '../../src/core/backlog/sqlite-letters.ts'
import { sqliteRows } from '../../src/core/backlog/sqlite-rows.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'

/** @param entries waiting, of half as many visitors; a hundredth as many dead letters */
export function fill(file: DatabaseSync, entries: number, nowMs: number): void {
  const sql = nodeSqlite(file)
  sqliteRows(sql, true)
  const put = file.prepare(
    'INSERT INTO relay_backlog (key, value, source, reason, bytes, attributes) VALUES (?, ?, ?, ?, ?, ?)',
  )
  file.exec('BEGIN')
  for (let n = 0; n < entries; n++) {
    const hex = n.toString(16).padStart(16, '0')
    const visitor = Math.floor(n / 2)
    const entry = {
      visitor: { thirdPartyId: String(visitor) },
      visitorHash: visitor.toString(16).padStart(32, '0'),
      attributes: [{ name: 'tier', value: 'gold' }],
      stamp: makeStamp(nowMs - n, nowMs - n, hex),
      source: n % 3 === 0 ? 'loyalty' : 'api',
      firstSeenMs: nowMs - n,
      reason: 'quota',
    } as const
    put.run(entryKey(entry, hex), JSON.stringify(packEntry(entry)), entry.source, entry.reason, postSize(entry), 1)
    if (n % 100 > 0) continue
    const letter = {
      reason: 'rejected',
      source: 'api',
      atMs: nowMs - n,
      firstSeenMs: nowMs - n,
      attempts: 1,
      entry,
    } as const
    const key = deadKey(nowMs - n, hex)
    put.run(key, JSON.stringify(packDead(letter)), letter.source, letter.reason, null, null)
    writeHead(sql, key, headOf(letter), null)
  }
  file.exec('COMMIT')
}
