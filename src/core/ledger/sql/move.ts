/**
 * A SQL ledger's state, out and in: parts in the order of their keys (`MovedState` in `moved.ts`). Within a transaction.
 */
import type { Limits } from '../../limits.ts'
import type { Sql } from '../../store/sql.ts'
import type { MovedState, MovedVisitor } from '../moved.ts'
import { movedInEvent } from '../rules/event.ts'
import { counts, movedIn, openStamps } from '../rules/register.ts'
import type { LedgerSettings } from '../rules/settings.ts'
import { wholeAccount } from '../rules/settings.ts'
import type { SqlEpoch } from './epoch.ts'
import type { SqlEvents } from './events.ts'
import type { RegisterPlace, RegisterRow, SqlRows } from './rows.ts'
import type { Step } from './step.ts'
import { openWindow } from './window.ts'

export interface MoveParts {
  readonly sql: Sql
  readonly rows: SqlRows
  readonly events: SqlEvents
  readonly epochs: SqlEpoch
  readonly settings: LedgerSettings
  readonly limits: Pick<Limits, 'registersPerPart'>
}

/** Rows in one part. */
const movedTogether = 200

/**
 * Units first, then the heads of visitors, then their pages, then events. The cursor is a letter and the last key; a
 * row with more registers than a part takes goes on in the next.
 */
export function moveOut(
  { sql, rows, events: eventRows, epochs, settings, limits: { registersPerPart } }: MoveParts,
  nowMs: number,
  cursor = '',
): { part: MovedState; cursor?: string } {
  const [kind, after] = [cursor.slice(0, 1), cursor.slice(1)]
  const none: MovedState = { units: [], visitors: [], events: [] }
  if (kind === '') {
    const lostMs = epochs.read()?.lostMs ?? 0
    const life = epochs.life(openWindow(sql, settings, wholeAccount, nowMs))
    const units = unitsOf(sql, settings, nowMs)
    return {
      part: { ...none, units, ...(lostMs === 0 ? {} : { lostMs }), ...(life === undefined ? {} : { life }) },
      cursor: 'v',
    }
  }
  if (kind === 'v' || kind === 'p') {
    const [rowFrom, next] = kind === 'v' ? [rows.headFrom, 'p'] : [rows.pageFrom, 'e']
    const visitors: MovedVisitor[] = []
    let place = placeOf(after)
    let room = registersPerPart
    // A bound on rows too, since a row may hold no register.
    while (visitors.length < movedTogether && room > 0) {
      const row = rowFrom(place, nowMs)
      if (row === undefined) return { part: { ...none, visitors }, cursor: next }
      const seen = row.hash === place.hash && row.page === place.page ? place.taken : 0
      const some = row.registers.slice(seen, seen + room)
      visitors.push(
        movedVisitor(
          row,
          some.filter(([, register]) => counts(register, nowMs, settings)),
        ),
      )
      room -= some.length
      const taken = seen + some.length
      place = { hash: row.hash, page: row.page, taken: taken < row.registers.length ? taken : 0 }
    }
    return { part: { ...none, visitors }, cursor: `${kind}${place.taken}:${place.page}:${place.hash}` }
  }
  const events = eventRows.eventsFrom(after, movedTogether, nowMs)
  return {
    part: { ...none, events },
    ...(events.length < movedTogether ? {} : { cursor: `e${events.at(-1)?.event ?? ''}` }),
  }
}

function placeOf(text: string): RegisterPlace {
  const [, taken = '0', page = '0', hash = text] = /^(\d+):(\d+):(.*)$/s.exec(text) ?? []
  return { hash, page: Number(page), taken: Number(taken) }
}

/** What is known here already stays; the newer delivery counts. */
export function moveIn(
  part: MovedState,
  { sql, rows, events, epochs, settings }: MoveParts,
  { nowMs, account }: Step,
): void {
  const memo = `moved-in:${part.id ?? ''}`
  const counted = part.id !== undefined && sql.exec('SELECT name FROM relay_memo WHERE name = ?', memo).length > 0
  if (!counted) for (const { account: name, lastMs, units } of part.units) account(name).charge(units, lastMs)
  if (!counted && part.id !== undefined && part.units.length > 0) {
    // Kept as long as any of them could be counted, and a window more; until then is what it says.
    const untilMs =
      Math.max(nowMs, ...part.units.map(({ lastMs }) => lastMs)) + 2 * (settings.quotaWindowMs + settings.quotaSlackMs)
    sql.exec(
      "DELETE FROM relay_memo WHERE name >= 'moved-in:' AND name < 'moved-in;' AND CAST(value AS INTEGER) BETWEEN 2 AND ?",
      nowMs,
    )
    sql.exec('INSERT INTO relay_memo (name, value) VALUES (?, ?)', memo, String(untilMs))
  }
  if (part.life !== undefined) epochs.takeOver(part.life, account(wholeAccount))
  if (part.lostMs !== undefined) sql.exec('UPDATE relay_epoch SET lost_ms = MAX(lost_ms, ?)', part.lostMs)
  for (const visitor of part.visitors) {
    const known = rows.openVisitor(visitor.hash, nowMs)
    for (const { name, ...moved } of visitor.registers) known.set(name, movedIn(known.get(name), moved))
    if (visitor.erasedMs !== undefined) known.erasedMs = Math.max(known.erasedMs ?? 0, visitor.erasedMs)
    known.save(visitor.keptUntilMs)
  }
  for (const { event, ...moved } of part.events) {
    const seen = events.readEvent(event, nowMs)
    events.writeEvent(event, movedInEvent(seen, moved), seen, nowMs)
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

function movedVisitor({ hash, erasedMs, keptUntilMs }: RegisterRow, registers: RegisterRow['registers']): MovedVisitor {
  return {
    hash,
    registers: registers.map(([name, register]) => ({
      name,
      ...(register.done === undefined ? {} : { done: register.done }),
      open: openStamps(register),
    })),
    ...(erasedMs === undefined ? {} : { erasedMs }),
    keptUntilMs,
  }
}
