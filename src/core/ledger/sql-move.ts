/** A SQL ledger's state, out and in: parts in the order of their keys (`MovedState` in `port.ts`). Within a transaction. */
import type { LedgerSettings, MovedState, MovedVisitor } from './port.ts'
import { movedIn, openStamps } from './register.ts'
import type { Sql } from './sql.ts'
import type { SqlRows } from './sql-rows.ts'
import { openWindow, type SqlWindow } from './sql-window.ts'

/** Rows in one part. */
const movedTogether = 200

/** Units first, then visitors, then events; the cursor is a letter and the last key. */
export function moveOut(
  cursor = '',
  sql: Sql,
  rows: SqlRows,
  settings: LedgerSettings,
  nowMs: number,
): { part: MovedState; cursor?: string } {
  const [kind, after] = [cursor.slice(0, 1), cursor.slice(1)]
  const none: MovedState = { units: [], visitors: [], events: [] }
  if (kind === '') {
    const lostMs = Number(sql.exec('SELECT lost_ms FROM relay_epoch')[0]?.['lost_ms'] ?? 0)
    return { part: { ...none, units: unitsOf(sql, settings, nowMs), ...(lostMs === 0 ? {} : { lostMs }) }, cursor: 'v' }
  }
  if (kind === 'v') {
    const hashes = rows.visitorsFrom(after, movedTogether, nowMs)
    const visitors = hashes.map((hash) => visitorOf(hash, rows, nowMs))
    return { part: { ...none, visitors }, cursor: hashes.length < movedTogether ? 'e' : `v${hashes.at(-1) ?? ''}` }
  }
  const events = rows.eventsFrom(after, movedTogether, nowMs)
  return { part: { ...none, events }, ...(events.length < movedTogether ? {} : { cursor: `e${events.at(-1)?.event ?? ''}` }) }
}

/** What is known here already stays; the newer delivery counts. */
export function moveIn(part: MovedState, sql: Sql, rows: SqlRows, account: (name: string) => SqlWindow, nowMs: number): void {
  const memo = `moved-in:${part.id ?? ''}`
  const counted = part.id !== undefined && sql.exec('SELECT name FROM relay_memo WHERE name = ?', memo).length > 0
  if (!counted) for (const { account: name, lastMs, units } of part.units) account(name).charge(units, lastMs)
  if (!counted && part.id !== undefined && part.units.length > 0) sql.exec('INSERT INTO relay_memo (name, value) VALUES (?, ?)', memo, '1')
  if (part.lostMs !== undefined) sql.exec('UPDATE relay_epoch SET lost_ms = MAX(lost_ms, ?)', part.lostMs)
  for (const visitor of part.visitors) {
    const { registers, backoff, erasedMs = 0, keptUntilMs } = rows.readVisitor(visitor.hash, nowMs)
    for (const { name, ...moved } of visitor.registers) registers.set(name, movedIn(registers.get(name), moved))
    const erased = Math.max(erasedMs, visitor.erasedMs ?? 0)
    const kept = { ...(backoff === undefined ? {} : { backoff }), ...(erased === 0 ? {} : { erasedMs: erased }) }
    rows.writeVisitor(visitor.hash, { registers, keptUntilMs, ...kept }, visitor.keptUntilMs)
  }
  for (const { event, stamp, atMs, done } of part.events) {
    const seen = rows.readEvent(event, nowMs)
    const first = seen !== undefined && seen.stamp < stamp ? seen.stamp : stamp
    rows.writeEvent(event, { stamp: first, atMs: seen?.atMs ?? atMs, done: done || seen?.done === true }, seen?.keptUntilMs ?? 0, nowMs)
  }
}

/** What has left the window is not moved: opening an account forgets it. */
function unitsOf(sql: Sql, settings: LedgerSettings, nowMs: number): MovedState['units'] {
  const names = sql.exec('SELECT account FROM relay_window').map((row) => String(row['account']))
  return names.flatMap((account) => {
    const window = openWindow(sql, settings, account, nowMs)
    window.save()
    return window.buckets().map(([lastMs, units]) => ({ account, lastMs, units }))
  })
}

function visitorOf(hash: string, rows: SqlRows, nowMs: number): MovedVisitor {
  const { registers, erasedMs, keptUntilMs } = rows.readVisitor(hash, nowMs)
  return {
    hash,
    registers: [...registers].map(([name, register]) => ({
      name,
      ...(register.done === undefined ? {} : { done: register.done }),
      open: openStamps(register),
    })),
    ...(erasedMs === undefined ? {} : { erasedMs }),
    keptUntilMs,
  }
}
