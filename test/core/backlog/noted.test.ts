/** What is noted of a backlog's writes: a line of the log for each dead letter, of every reason. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { type KeepMemory, notedBacklog } from '../../../src/core/backlog/noted.ts'
import { type Backlog, type DeadReason, deadReasons } from '../../../src/core/backlog/port.ts'
import { rowsBacklog } from '../../../src/core/backlog/sqlite.ts'
import { sqliteRows } from '../../../src/core/backlog/sqlite-rows.ts'
import { noSpan } from '../../../src/core/spans.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { someEntry } from '../../contract/backlog.ts'
import { seededRandom } from '../../support/clock.ts'
import { plainSeal } from '../../support/seal.ts'

const lineOf: Readonly<Record<DeadReason, string>> = {
  rejected: 'rejected',
  refused_repeatedly: 'rejected',
  unmappable: 'quarantined',
  expired: 'set_aside',
  overtaken_unconfirmed: 'set_aside',
  unreadable: 'set_aside',
  confirmation: 'confirmation',
  ledger_lost: 'set_aside',
}

function noting(bury: Backlog['bury']) {
  const lines: object[] = []
  const backlog = { bury, operations: 0 } as unknown as Backlog
  const noted = notedBacklog(backlog, {
    clock: { now: () => 0 },
    memory: {},
    span: noSpan,
    log: (event, details) => lines.push({ event, ...details }),
  })
  return { noted, lines }
}
const letter = { source: 'loan', atMs: 1, firstSeenMs: 1, attempts: 0, detail: 'the visitor c-42 is unknown' } as const

describe('all that a backlog can', () => {
  it.each([true, false])(
    'its watch can too (with what a store may have: %s), and a removal is no write',
    async (has) => {
      const sql = nodeSqlite(new DatabaseSync(':memory:'))
      const backlog = rowsBacklog(sqliteRows(sql, has), { randomHex: seededRandom(1).hex, seal: plainSeal })
      const memory: KeepMemory = {}
      const noted = notedBacklog(backlog, { clock: { now: () => 7 }, memory, span: noSpan, log: () => {} })
      expect(Object.keys(noted).sort()).toEqual(Object.keys(backlog).sort())
      const full = { ...backlog, exchange: () => Promise.reject(new Error('gone')) }
      const failing = notedBacklog(full, { clock: { now: () => 7 }, memory, span: noSpan, log: () => {} })
      await expect(failing.exchange([], ['b1/x'])).rejects.toThrow()
      expect(memory).toEqual({})
      await expect(failing.exchange([{ entry: someEntry(), name: 'a'.repeat(16) }], [])).rejects.toThrow()
      expect(memory).toEqual({ keepFailedAtMs: 7 })
    },
  )
})

describe('a dead letter', () => {
  it.each(deadReasons)(
    'that is %s has one line, with its source, reason and key, and without what Target said',
    async (reason) => {
      const { noted, lines } = noting(async () => 'dead/1/ab')
      expect(await noted.bury({ ...letter, reason, raw: '{"customer":"c-42"}' })).toBe('dead/1/ab')
      expect(lines).toEqual([{ event: lineOf[reason], source: 'loan', reason, key: 'dead/1/ab' }])
    },
  )

  it('that could not be kept has none', async () => {
    const { noted, lines } = noting(async () => {
      throw new Error('the disk is full')
    })
    await expect(noted.bury({ ...letter, reason: 'expired' })).rejects.toThrow()
    expect(lines).toEqual([])
  })
})
