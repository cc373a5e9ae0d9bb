/**
 * Where a ledger's witness is kept (`epoch.ts`): always in another store than the ledger, or a loss would take both.
 * For Upstash one row in SQL (the `LEDGER` object, the SQLite file); for the `LEDGER` object itself a key in KV.
 */
import type { Kv } from '../../store/kv.ts'
import type { Sql } from '../../store/sql.ts'
import type { Testimony, Witness } from './epoch.ts'

/** One row, replaced atomically. */
export function sqlWitness(sql: Sql): Witness {
  sql.exec('CREATE TABLE IF NOT EXISTS relay_witness (id INTEGER PRIMARY KEY, testimony TEXT NOT NULL)')
  const read = (): Testimony | undefined => {
    const [row] = sql.exec('SELECT testimony FROM relay_witness')
    return row === undefined ? undefined : (JSON.parse(String(row['testimony'])) as Testimony)
  }
  return {
    read: () => sql.inTurn(read),
    replace: (seen, next) =>
      sql.inTurn(() =>
        sql.transaction(() => {
          const current = read()
          if (!same(current, seen)) return current ?? next
          sql.exec('INSERT OR REPLACE INTO relay_witness (id, testimony) VALUES (1, ?)', JSON.stringify(next))
          return next
        }),
      ),
  }
}

const prefix = 'w1/'

/**
 * A new key for each epoch, the newest counts. Nothing here is atomic: for one caller at a time, as a Durable Object is
 * while it starts. How much was granted is not kept: an object's storage is lost whole or not at all.
 */
export function kvWitness(
  kv: Pick<Kv, 'put' | 'list' | 'delete'>,
  { now, randomHex }: { now: () => number; randomHex: (bytes: number) => string },
): Witness {
  const names = async () => (await kv.list({ prefix })).keys
  return {
    async read() {
      const newest = (await names()).at(-1)
      return newest === undefined ? undefined : (newest.metadata as Testimony)
    },
    async replace(seen, next) {
      if (seen?.epoch === next.epoch && seen.state === next.state) return next
      // No epoch is known again without what it had granted.
      const { replaced, base, ...kept } = next
      const older = await names()
      await kv.put(`${prefix}${String(now()).padStart(13, '0')}-${randomHex(4)}`, '', {
        metadata: { ...kept, granted: 0 },
      })
      for (const { name } of older) await kv.delete(name)
      return next
    },
  }
}

function same(one: Testimony | undefined, other: Testimony | undefined): boolean {
  return one?.epoch === other?.epoch && one?.state === other?.state && one?.granted === other?.granted
}
