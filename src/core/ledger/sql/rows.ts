/**
 * The rows of visitors on SQL: registers, backoff, denials, erasure.
 *
 * A Durable Object bills every row written, those of an index too. Hence one row a visitor, not one an attribute.
 *
 * Guarantee: no row holds more than `registersPerPage` registers, but for a page of a visitor with about a million
 * (`rules/pages.ts`). At worst (names of 128 escaped characters, eight older stamps each) 256 registers are 350 KB; a
 * Durable Object's row holds 2 MB. A row of an older version that holds more is read, and split when it is written.
 */
import { defaultLimits, type Limits } from '../../limits.ts'
import type { Sql } from '../../store/sql.ts'
import type { Denials } from '../rules/denials.ts'
import { pageOf } from '../rules/pages.ts'
import { type Backoff, counts, isOver, type Register, registerLifeMs } from '../rules/register.ts'
import type { LedgerSettings } from '../rules/settings.ts'
import { sweepTable, sweptPerRequest, wholeHour } from './lifetimes.ts'

export const rowSchema = [
  'CREATE TABLE IF NOT EXISTS relay_visitor (hash TEXT PRIMARY KEY, registers TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS relay_visitor_until ON relay_visitor (until_ms)',
  'CREATE TABLE IF NOT EXISTS relay_page (hash TEXT NOT NULL, page INTEGER NOT NULL, registers TEXT NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY (hash, page)) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS relay_page_until ON relay_page (until_ms)',
]

/** One visitor within one transaction. */
export interface VisitorRows {
  /** What is known of an attribute and still counts. */
  get(name: string): Register | undefined
  set(name: string, register: Register): void
  backoff: Backoff | undefined
  denials: Denials | undefined
  /** When it was last erased, epoch ms. */
  erasedMs: number | undefined
  /** Its time line (`rules/history.ts`). */
  history: string | undefined
  /**
   * Writes what has changed.
   *
   * @param untilMs how long it must live at least, epoch ms
   */
  save(untilMs: number): void
}

/** A row of registers as a state that moves shows it: a visitor's head, or one of its pages. */
export interface RegisterRow {
  readonly hash: string
  /** 0 for a head. */
  readonly page: number
  /** All of them, those too that count no more. */
  readonly registers: readonly (readonly [name: string, register: Register])[]
  readonly erasedMs: number | undefined
  readonly keptUntilMs: number
}

/** How far a move has come: all rows before this one, and `taken` registers of it; 0 where all of it is out. */
export interface RegisterPlace {
  readonly hash: string
  readonly page: number
  readonly taken: number
}

export interface SqlRows {
  openVisitor(hash: string, nowMs: number): VisitorRows
  /** Forgets all of a visitor but that it was erased now. */
  eraseVisitor(hash: string, nowMs: number): void
  /** The attributes of a visitor that count, `atMost` of them. */
  listVisitor(hash: string, atMost: number, nowMs: number): readonly (readonly [name: string, register: Register])[]
  /** The next row that lives, in the order of their keys. */
  headFrom(place: RegisterPlace, nowMs: number): RegisterRow | undefined
  pageFrom(place: RegisterPlace, nowMs: number): RegisterRow | undefined
  /** Removes rows whose life is over, a few for each request. */
  sweep(requests: number, nowMs: number): void
}

/** A row of registers in memory: those that are not over. */
interface Page {
  readonly registers: Map<string, Register>
  /** The row as it is stored; undefined without one. */
  readonly stored: { readonly text: string; readonly untilMs: number } | undefined
  touched: boolean
}

/**
 * `r` registers, `b` backoff, `d` denials, `x` when erased, `p` that some lie in pages, `h` its time line. A page has
 * `r` only.
 */
interface Stored {
  readonly r: readonly [string, Register][]
  readonly b?: Backoff
  readonly d?: Denials
  readonly x?: number
  readonly p?: 1
  readonly h?: string
}

/** A head without anything. */
const nothingKept = JSON.stringify({ r: [] })

export function openRows(sql: Sql, settings: LedgerSettings, { registersPerPage }: Limits = defaultLimits): SqlRows {
  /** Pages that were added and not yet swept for. */
  let pagesAdded = 0
  return { openVisitor, eraseVisitor, listVisitor, headFrom, pageFrom, sweep }

  function openVisitor(hash: string, nowMs: number): VisitorRows {
    const [row] = sql.exec('SELECT registers, until_ms FROM relay_visitor WHERE hash = ?', hash)
    const kept = storedOf(row)
    const head = pageIn(row, kept)
    const pages = new Map<number, Page>()
    let paged = kept.p === 1

    function page(name: string): Page {
      const number = pageOf(name)
      const known = pages.get(number)
      if (known !== undefined) return known
      const [row] = sql.exec('SELECT registers, until_ms FROM relay_page WHERE hash = ? AND page = ?', hash, number)
      const opened = pageIn(row, storedOf(row))
      pages.set(number, opened)
      return opened
    }
    function pageIn(row: Record<string, unknown> | undefined, { r }: Stored): Page {
      return {
        registers: new Map(r.filter(([, register]) => !isOver(register, nowMs, settings))),
        touched: false,
        stored: row === undefined ? undefined : { text: String(row['registers']), untilMs: Number(row['until_ms']) },
      }
    }
    const visitor: VisitorRows = {
      backoff: kept.b,
      denials: kept.d,
      erasedMs: kept.x,
      history: kept.h,
      get(name) {
        const register = head.registers.get(name) ?? (paged ? page(name).registers.get(name) : undefined)
        return register !== undefined && counts(register, nowMs, settings) ? register : undefined
      },
      set(name, register) {
        const place = !head.registers.has(name) && paged && page(name).registers.has(name) ? page(name) : head
        place.touched = true
        // Drop registers that hold neither stamp.
        if (register.done === undefined && register.open === undefined) place.registers.delete(name)
        else place.registers.set(name, register)
      },
      save(untilMs) {
        // More than a head may hold: the newest, and those of a row of an older version.
        for (const [name, register] of [...head.registers].slice(registersPerPage)) {
          const place = page(name)
          place.registers.set(name, register)
          place.touched = true
          head.registers.delete(name)
          paged = true
        }
        // A head lives as long as its pages: without it they would not be looked into.
        const until = Math.max(head.stored?.untilMs ?? 0, wholeHour(untilMs))
        for (const [number, page] of pages) if (page.touched) writePage(hash, number, page, until)
        const { backoff: b, denials: d, erasedMs: x, history: h } = visitor
        const text = JSON.stringify({ r: [...head.registers], b, d, x, p: paged ? 1 : undefined, h })
        // Nothing is known of it, and nothing to be kept.
        if (head.stored === undefined && text === nothingKept) return
        if (until !== head.stored?.untilMs)
          sql.exec(
            'INSERT OR REPLACE INTO relay_visitor (hash, registers, until_ms) VALUES (?, ?, ?)',
            hash,
            text,
            until,
          )
        else if (text !== head.stored.text)
          sql.exec('UPDATE relay_visitor SET registers = ? WHERE hash = ?', text, hash)
      },
    }
    return visitor
  }

  function writePage(hash: string, number: number, { registers, stored }: Page, until: number): void {
    const text = JSON.stringify({ r: [...registers] })
    if (stored === undefined) pagesAdded++
    if (registers.size === 0) sql.exec('DELETE FROM relay_page WHERE hash = ? AND page = ?', hash, number)
    else if (until === stored?.untilMs)
      sql.exec('UPDATE relay_page SET registers = ? WHERE hash = ? AND page = ?', text, hash, number)
    else
      sql.exec(
        'INSERT OR REPLACE INTO relay_page (hash, page, registers, until_ms) VALUES (?, ?, ?, ?)',
        hash,
        number,
        text,
        until,
      )
  }

  function eraseVisitor(hash: string, nowMs: number): void {
    sql.exec('DELETE FROM relay_page WHERE hash = ?', hash)
    const [row] = sql.exec('SELECT until_ms FROM relay_visitor WHERE hash = ?', hash)
    const until = Math.max(Number(row?.['until_ms'] ?? 0), wholeHour(nowMs + settings.retentionMs))
    const text = JSON.stringify({ r: [], x: nowMs })
    sql.exec('INSERT OR REPLACE INTO relay_visitor (hash, registers, until_ms) VALUES (?, ?, ?)', hash, text, until)
  }

  function listVisitor(hash: string, atMost: number, nowMs: number): readonly (readonly [string, Register])[] {
    const [head] = sql.exec('SELECT registers FROM relay_visitor WHERE hash = ?', hash)
    const listed = [...storedOf(head).r]
    for (let page = -1; listed.length < atMost; ) {
      const [row] = sql.exec(
        'SELECT page, registers FROM relay_page WHERE hash = ? AND page > ? ORDER BY page LIMIT 1',
        hash,
        page,
      )
      if (row === undefined) break
      listed.push(...storedOf(row).r)
      page = Number(row['page'])
    }
    return listed.filter(([, register]) => counts(register, nowMs, settings)).slice(0, atMost)
  }

  function sweep(requests: number, nowMs: number): void {
    const beforeMs = nowMs - registerLifeMs(settings)
    const rows = sweptPerRequest * requests
    sweepTable(sql, 'relay_visitor', 'hash', beforeMs, rows)
    sweepTable(sql, 'relay_page', 'hash, page', beforeMs, rows + sweptPerRequest * pagesAdded)
    pagesAdded = 0
  }

  function headFrom({ hash, taken }: RegisterPlace, nowMs: number): RegisterRow | undefined {
    const [row] = sql.exec(
      `SELECT hash, registers, until_ms FROM relay_visitor WHERE hash ${taken > 0 ? '>=' : '>'} ? AND until_ms >= ? ORDER BY hash LIMIT 1`,
      hash,
      nowMs,
    )
    return row === undefined ? undefined : registerRow(row)
  }

  function pageFrom({ hash, page, taken }: RegisterPlace, nowMs: number): RegisterRow | undefined {
    const [row] = sql.exec(
      `SELECT hash, page, registers, until_ms FROM relay_page WHERE (hash, page) ${taken > 0 ? '>=' : '>'} (?, ?) AND until_ms >= ? ORDER BY hash, page LIMIT 1`,
      hash,
      page,
      nowMs,
    )
    return row === undefined ? undefined : registerRow(row)
  }
}

function storedOf(row: Record<string, unknown> | undefined): Stored {
  return row === undefined ? { r: [] } : (JSON.parse(String(row['registers'])) as Stored)
}

function registerRow(row: Record<string, unknown>): RegisterRow {
  const { r: registers, x: erasedMs } = storedOf(row)
  return {
    hash: String(row['hash']),
    page: Number(row['page'] ?? 0),
    registers,
    erasedMs,
    keptUntilMs: Number(row['until_ms']),
  }
}
