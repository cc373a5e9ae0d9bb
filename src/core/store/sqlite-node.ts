/**
 * `node:sqlite` behind the SQL port; Deno and Bun have it too. Several processes may share one file: WAL, and a
 * transaction takes its write lock at once, so that none reads what another is about to change.
 *
 * Guarantee: a file that another process has locked delays only the steps that need it. SQLite's own waiting blocks the
 * thread, and with it every request of the process; so a step waits here, without blocking, and one at a time.
 * Known hole: while a reader holds an old state (a backup, a forgotten shell) the log of writes grows with what is
 * written; it cannot be truncated. Opening a file waits as SQLite does, up to `openingMs`. A caller that gave a step up
 * does not end it: it may still be done until `patienceMs` are over.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../clock.ts'
import type { Sql } from './sql.ts'

/** How long opening may block: the change to WAL, and the schema, want the file to themselves for a moment. */
const openingMs = 5_000
/** How long one try of a step may block the thread. */
const tryMs = 20
/** How long a step waits in all for the file to be unlocked. */
export const patienceMs = 5_000
/**
 * Pauses between tries double up to this, each cut at random by up to a half, so that two processes do not keep step.
 */
const longestPauseMs = 100
const shortestPauseMs = 5
/** Today's queries are constants, and far fewer; queries that are built at run time must not fill the memory. */
export const preparedAtMost = 256

/** The log of writes (WAL) grows while somebody reads an old state; once that is over, it is cut to this. */
export const keptLogBytes = 16_000_000

/** The primary code SQLITE_BUSY; its extended codes (BUSY_RECOVERY, BUSY_SNAPSHOT) carry it in the lowest byte. */
const busyCode = 5
/** Deno's `exec` gives no code; this is the text of all codes of SQLITE_BUSY. */
const busyMessage = 'database is locked'

export interface Patience {
  /** How long steps wait, and who measures it. */
  readonly clock: Pick<Clock, 'after'>
  /** Uniform in [0, 1). */
  readonly fraction: () => number
}

/** This adapter lives where there are timers and randomness; a test brings its own. */
const usualPatience: Patience = {
  clock: {
    after: (ms) => {
      let timer: ReturnType<typeof setTimeout> | undefined
      const elapsed = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms)
      })
      return { elapsed, cancel: () => clearTimeout(timer) }
    },
  },
  fraction: () => Math.random(),
}

export function nodeSqlite(database: DatabaseSync, { clock, fraction }: Patience = usualPatience): Sql {
  // The time-out first: the change to WAL needs the file to itself.
  database.exec(
    // What is deleted is overwritten: the bodies of persons do not stay in free pages.
    `PRAGMA busy_timeout = ${openingMs}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = ${keptLogBytes}`,
  )
  let opening = true
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  /** The last step that waits; the next one queues behind it. */
  let last: Promise<unknown> | undefined

  return {
    exec(query, ...params) {
      return prepared(query).all(...params)
    },
    transaction,
    purge() {
      // The log holds older pages until it is emptied, which wants the file for itself for a moment.
      const [row] = prepared('PRAGMA wal_checkpoint(TRUNCATE)').all()
      if (Number(row?.['busy'] ?? 0) !== 0) throw new Error(busyMessage)
    },
    inTurn,
    atomically: (work) => inTurn(() => transaction(work)),
  }

  function transaction<T>(work: () => T): T {
    database.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      database.exec('COMMIT')
      return result
    } catch (error) {
      rollBack()
      throw error
    }
  }

  async function inTurn<T>(work: () => T): Promise<T> {
    // With the first step the opening is over, and from then on nothing blocks for long.
    if (opening) database.exec(`PRAGMA busy_timeout = ${tryMs}`)
    opening = false
    if (last === undefined) {
      const done = tryOnce(work)
      if (done !== undefined) return done.result
    }
    const before = last
    const mine = waitFor(work, before)
    const settled = mine.then(
      () => {},
      () => {},
    )
    last = settled
    try {
      return await mine
    } finally {
      if (last === settled) last = undefined
    }
  }

  /** One at a time tries, or every waiting step would block the thread in turn; each has its own patience. */
  async function waitFor<T>(work: () => T, before: Promise<unknown> | undefined): Promise<T> {
    const patience = clock.after(patienceMs)
    let over = false
    void patience.elapsed.then(() => {
      over = true
    })
    try {
      await (before ?? clock.after(shortestPauseMs).elapsed)
      for (let pauseMs = shortestPauseMs; ; pauseMs = Math.min(longestPauseMs, 2 * pauseMs)) {
        // The last try is the one that says why.
        if (over) return work()
        const done = tryOnce(work)
        if (done !== undefined) return done.result
        await clock.after(pauseMs * (1 - fraction() / 2)).elapsed
      }
    } finally {
      patience.cancel()
    }
  }

  function prepared(query: string): ReturnType<DatabaseSync['prepare']> {
    const known = statements.get(query)
    if (known !== undefined) return known
    const [oldest] = statements.keys()
    if (oldest !== undefined && statements.size >= preparedAtMost) statements.delete(oldest)
    const statement = database.prepare(query)
    statements.set(query, statement)
    return statement
  }

  function rollBack(): void {
    try {
      database.exec('ROLLBACK')
    } catch {
      // SQLite rolls back by itself on a full disk and the like; the first error is the one to know.
    }
  }
}

/** Undefined where somebody else holds the file: then nothing was done. */
function tryOnce<T>(work: () => T): { readonly result: T } | undefined {
  try {
    return { result: work() }
  } catch (error) {
    if (isBusy(error)) return undefined
    throw error
  }
}

function isBusy(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'errcode' in error ? Number(error.errcode) : undefined
  return code === undefined ? error.message.startsWith(busyMessage) : (code & 0xff) === busyCode
}
