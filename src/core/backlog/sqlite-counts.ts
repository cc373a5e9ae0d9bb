/**
 * What waits and what is dead on SQLite, counted by triggers in the transaction of each put and delete.
 *
 * Guarantee: the counts are those of the table at any moment, whoever writes to it, an older version too, and are read
 * in a few rows however much there is. Opening the table of an older version counts it once.
 */
import type { Sql } from '../store/sql.ts'
import { deadPrefix, entryPrefix } from './entry-format.ts'
import type { DeadCounts, Tally } from './port.ts'
import { attributesACall, countOne, encodedBytesAByte, getBytes, postBytes, unknownName } from './tally.ts'

/** `b` of an entry, `d` of a dead letter. */
const kindOf = (row: string) => `substr(${row}.key, 1, 1)`
const isEntry = (row: string) => `${row}.key >= '${entryPrefix}' AND ${row}.key < '${entryPrefix}~'`
const visitorOf = (row: string) =>
  `substr(${row}.key, ${entryPrefix.length + 1}, instr(${row}.key, '/t') - ${entryPrefix.length + 1})`
const bytesOf = (row: string) => `coalesce(${row}.bytes, ${encodedBytesAByte} * octet_length(${row}.value))`
/** As `firstSeenMs` of a head: the arrival in the stamp, as 13 digits. */
const arrivalOf = (key: string) => `substr(${key}, instr(${key}, '/t') + 15, 13)`

/** As `callsAtMost`; whole numbers are divided as whole numbers. */
const callsOf = (row: string, { fits, room }: typeof postBytes) =>
  `CASE WHEN ${row}.entries = 0 THEN 0 ELSE CASE WHEN ${row}.bytes <= ${fits} THEN 1 ELSE 1 + 2 * ${row}.bytes / ${room} END + max(0, (${row}.attributes - 1) / ${attributesACall}) END`
const totalsOf = (row: string) => ({
  visitors: `(${row}.entries > 0)`,
  posts: callsOf(row, postBytes),
  gets: callsOf(row, getBytes),
  small: `(${callsOf(row, getBytes)} = 1)`,
})

const tables = [
  'CREATE TABLE IF NOT EXISTS relay_backlog_count (kind TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (kind, source, reason)) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_backlog_visitor (visitor TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL, attributes INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_backlog_total (id INTEGER PRIMARY KEY CHECK (id = 1), visitors INTEGER NOT NULL, posts INTEGER NOT NULL, gets INTEGER NOT NULL, small INTEGER NOT NULL)',
  'INSERT OR IGNORE INTO relay_backlog_total VALUES (1, 0, 0, 0, 0)',
  `CREATE INDEX IF NOT EXISTS relay_backlog_arrival ON relay_backlog (${arrivalOf('key')}) WHERE key < '${deadPrefix}'`,
]

/** What a row adds to the counts, or takes from them. */
function counted(row: 'new' | 'old', sign: 1 | -1): string {
  return `
INSERT INTO relay_backlog_count VALUES (${kindOf(row)}, coalesce(${row}.source, ''), coalesce(${row}.reason, ''), ${sign})
  ON CONFLICT (kind, source, reason) DO UPDATE SET count = count + excluded.count;
INSERT INTO relay_backlog_visitor SELECT ${visitorOf(row)}, ${sign}, ${sign} * ${bytesOf(row)}, ${sign} * coalesce(${row}.attributes, 1)
  WHERE ${isEntry(row)}
  ON CONFLICT (visitor) DO UPDATE SET entries = entries + excluded.entries, bytes = bytes + excluded.bytes, attributes = attributes + excluded.attributes;`
}

function totalled(row: 'new' | 'old', sign: '+' | '-'): string {
  const sums = Object.entries(totalsOf(row)).map(([name, of]) => `${name} = ${name} ${sign} ${of}`)
  return `UPDATE relay_backlog_total SET ${sums.join(', ')};`
}

const triggers = [
  ['put', 'AFTER INSERT ON relay_backlog', counted('new', 1)],
  ['gone', 'AFTER DELETE ON relay_backlog', counted('old', -1)],
  ['changed', 'AFTER UPDATE ON relay_backlog', counted('old', -1) + counted('new', 1)],
  ['visitor', 'AFTER INSERT ON relay_backlog_visitor', totalled('new', '+')],
  [
    'visitor_changed',
    'AFTER UPDATE ON relay_backlog_visitor',
    `${totalled('old', '-')}${totalled('new', '+')} DELETE FROM relay_backlog_visitor WHERE visitor = new.visitor AND entries = 0;`,
  ],
].map(([name, when, what]) => `CREATE TRIGGER IF NOT EXISTS relay_backlog_${name} ${when} BEGIN ${what} END`)

/** Adds to the table of the backlog what counts it, and counts it where it is not empty. */
export function openCounted(sql: Sql): void {
  const isCounted = () =>
    sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'relay_backlog_visitor_changed'").length > 0
  if (isCounted()) return
  sql.transaction(() => {
    // Another process may have done it since.
    if (isCounted()) return
    for (const statement of tables) sql.exec(statement)
    sql.exec(
      `INSERT INTO relay_backlog_count SELECT ${kindOf('row')}, '', '', count(*) FROM relay_backlog row GROUP BY 1`,
    )
    sql.exec(
      `INSERT INTO relay_backlog_visitor SELECT ${visitorOf('row')}, count(*), sum(${bytesOf('row')}), count(*) FROM relay_backlog row WHERE ${isEntry('row')} GROUP BY 1`,
    )
    const sums = Object.entries(totalsOf('row')).map(
      ([name, of]) => `${name} = coalesce((SELECT sum(${of}) FROM relay_backlog_visitor row), 0)`,
    )
    sql.exec(`UPDATE relay_backlog_total SET ${sums.join(', ')}`)
    for (const trigger of triggers) sql.exec(trigger)
  })
}

/** A few rows, in one step. */
export function readCounts(sql: Sql): { readonly waiting: Tally; readonly dead: DeadCounts } {
  const counts = { b: emptyCounts(), d: emptyCounts() }
  let waiting = 0
  for (const { kind, source, reason, count } of sql.exec(
    "SELECT * FROM relay_backlog_count WHERE kind IN ('b', 'd') AND count > 0",
  )) {
    const { bySource, byReason } = counts[kind === 'b' ? 'b' : 'd']
    countOne(bySource, String(source) || unknownName, Number(count))
    countOne(byReason, String(reason) || unknownName, Number(count))
    if (kind === 'b') waiting += Number(count)
  }
  const [total] = sql.exec('SELECT * FROM relay_backlog_total')
  const [oldest] = sql.exec(
    `SELECT ${arrivalOf('key')} AS ms FROM relay_backlog WHERE key < '${deadPrefix}' ORDER BY 1 LIMIT 1`,
  )
  const of = (name: string) => Number(total?.[name] ?? 0)
  return {
    waiting: {
      waiting,
      visitors: of('visitors'),
      posts: of('posts'),
      gets: of('gets'),
      small: of('small'),
      ...(oldest === undefined ? {} : { oldestMs: Number(oldest['ms']) }),
      ...counts.b,
    },
    dead: counts.d,
  }
}

function emptyCounts() {
  return { bySource: {} as Record<string, number>, byReason: {} as Record<string, number> }
}
