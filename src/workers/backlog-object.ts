/**
 * The object that holds the backlog where `BACKLOG_STORE` is `object`; `object-rows.ts` is the other end of the RPC.
 */
import { DurableObject } from 'cloudflare:workers'
import type { DeadHead } from '../core/backlog/port.ts'
import type { BacklogRows, NewHead, NewRow, SealedRow } from '../core/backlog/rows.ts'
import { sqliteRows } from '../core/backlog/sqlite-rows.ts'
import { objectSqlite } from '../core/store/sqlite-object.ts'
import type { RowsStub } from './object-rows.ts'

/**
 * One object for the whole deployment, on SQLite: rows that it can't open, since the keys of `BACKLOG_KEYS` stay with
 * the Worker. Every method is one storage transaction; an answer leaves once it is on disk.
 * Known hole: it has 10 GB (5 GB on the Free plan, for all objects of the account); where it is full a put is refused,
 * and the sender is told to come again.
 */
export class BacklogObject extends DurableObject<object> implements RowsStub {
  readonly #rows: BacklogRows

  constructor(ctx: DurableObjectState, env: object) {
    super(ctx, env)
    this.#rows = sqliteRows(objectSqlite(ctx.storage), false)
  }

  // Spelled out: RPC finds only methods of the prototype. The compiler asks for each of them (`object-rows.ts`).
  exchange(rows: readonly NewRow[], removed: readonly string[]) {
    return this.#rows.exchange(rows, removed)
  }
  bury(row: NewRow, head: DeadHead, detail: string | null) {
    return this.#rows.bury(row, head, detail)
  }
  writeText(key: string, value: string) {
    return this.#rows.writeText(key, value)
  }
  read(keys: readonly string[]) {
    return this.#rows.read(keys)
  }
  page(prefix: string, after: string, limit: number, bytes: number) {
    return this.#rows.page(prefix, after, limit, bytes)
  }
  letters(before: string, limit: number, details: boolean) {
    return this.#rows.letters(before, limit, details)
  }
  setHeads(heads: readonly NewHead[]) {
    return this.#rows.setHeads(heads)
  }
  heads(prefix: string, after: string, limit: number) {
    return this.#rows.heads(prefix, after, limit)
  }
  keys(after: string, before: string, limit: number) {
    return this.#rows.keys(after, before, limit)
  }
  readSealed(key: string) {
    return this.#rows.readSealed(key)
  }
  renew(key: string, was: SealedRow, renewed: SealedRow) {
    return this.#rows.renew(key, was, renewed)
  }
  check() {
    return this.#rows.check()
  }
}
