/**
 * The rows of the object that holds a backlog: real SQL, strongly consistent, behind a network that is slow or fails; a
 * write that failed may still be kept.
 */
import { DatabaseSync } from 'node:sqlite'
import type { BacklogRows } from '../../src/core/backlog/rows.ts'
import { sqliteRows } from '../../src/core/backlog/sqlite-rows.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { within } from './faults.ts'
import type { KvParts } from './kv.ts'
import { interrupted } from './reach.ts'

export interface SimulatedRows extends BacklogRows {
  /** The keys that are there. */
  keysOf(prefix: string): readonly string[]
  /** The values that are kept under keys with this prefix. */
  peek(prefix: string): readonly string[]
}

type RowsParts = Pick<KvParts, 'time' | 'random' | 'oracle' | 'weather' | 'outages' | 'coverage' | 'valuesIn'>

export function simulatedRows({
  time,
  random,
  oracle,
  weather,
  outages,
  coverage,
  valuesIn,
}: RowsParts): SimulatedRows {
  const sql = nodeSqlite(new DatabaseSync(':memory:'))
  const rows = sqliteRows(sql, false)
  const found = (prefix: string, column: 'key' | 'value') =>
    sql
      .exec(`SELECT ${column} AS text FROM relay_backlog WHERE key > ? AND key < ? ORDER BY key`, prefix, `${prefix}~`)
      .map(({ text }) => String(text))
  const isThere = (key: string) => sql.exec('SELECT 1 FROM relay_backlog WHERE key = ?', key).length > 0

  async function travel<T>(effect: () => Promise<T>, mayBeKept = false): Promise<T> {
    await time.sleep(
      1 + random.fraction() * 10 + (random.fraction() < weather().kvSlow ? random.fraction() * 3_000 : 0),
    )
    if (within(outages().kv, time.nowMs)) {
      interrupted('KV outage')
      throw new Error('object: reset')
    }
    if (random.fraction() < weather().kvFail) {
      interrupted('KV failed')
      if (mayBeKept && random.fraction() < 0.4) {
        coverage['rows that failed and were kept']++
        await effect()
      }
      throw new Error('object: Network connection lost.')
    }
    const result = await effect()
    await time.sleep(1 + random.fraction() * 10)
    // Answers are copies.
    return structuredClone(result)
  }

  const write: BacklogRows['exchange'] = async (written, removed) => {
    const values = await Promise.all(written.map(({ key, value }) => valuesIn(key, value, undefined)))
    for (const { key } of written) oracle.checkDiscreet('a key of the object', key)
    await travel(async () => {
      const fresh = written.map(({ key }) => !isThere(key))
      const gone = removed.filter(isThere)
      await rows.exchange(written, removed)
      for (const [index, { key }] of written.entries())
        if (fresh[index] === true) oracle.stored(key, values[index] ?? [])
      for (const key of gone) oracle.deleted(key)
      coverage['rows written to the object'] += written.length
    }, true)
  }

  return {
    keysOf: (prefix) => found(prefix, 'key'),
    peek: (prefix) => found(prefix, 'value'),
    exchange: write,
    bury: async (row, head, detail) => {
      const values = await valuesIn(row.key, row.value, undefined)
      oracle.checkDiscreet('a head of the object', JSON.stringify(head))
      await travel(async () => {
        const fresh = !isThere(row.key)
        await rows.bury(row, head, detail)
        if (fresh) oracle.stored(row.key, values)
      }, true)
    },
    writeText: (key, value) => travel(() => rows.writeText(key, value), true),
    read: (keys) => travel(() => rows.read(keys)),
    page: (...asked) => travel(() => rows.page(...asked)),
    letters: (...asked) => travel(() => rows.letters(...asked)),
    setHeads: (heads) => travel(() => rows.setHeads(heads), true),
    heads: (...asked) => travel(() => rows.heads(...asked)),
    keys: (...asked) => travel(() => rows.keys(...asked)),
    readSealed: (key) => travel(() => rows.readSealed(key)),
    renew: (...asked) => travel(() => rows.renew(...asked), true),
    check: () => travel(() => rows.check()),
  }
}
