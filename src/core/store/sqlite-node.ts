/**
 * `node:sqlite` as the SQL port; Deno and Bun have it too. Several processes may share one file: the file is in WAL
 * mode, and a transaction takes the write lock when it begins, so that none reads what another is about to change.
 *
 * Guarantee: a file that another process holds locked delays only the steps that need the lock. SQLite's own busy
 * timeout blocks the thread, and with it every request of the process; so a step waits here, without blocking, and one
 * at a time.
 * Known hole: while a reader holds an old snapshot (a backup, a forgotten shell) the WAL grows with each write and
 * cannot be truncated. Opening a file waits as SQLite does, up to `openingMs`. A step whose caller gave up is not
 * cancelled: it may still be done until `patienceMs` are over.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../clock.ts'
import type { Sql } from './sql.ts'

/** How long opening may block: the change to WAL mode and the schema need an exclusive lock for a moment. */
const openingMs = 5_000
/** How long one attempt at a step may block the thread. */
const tryMs = 20
/** The longest that a step waits in all until others release the file. */
export const patienceMs = 5_000
/**
 * Pauses between attempts double up to this; each is shortened at random by up to a half, so that two processes do not
 * stay in step.
 */
const longestPauseMs = 100
const shortestPauseMs = 5
/**
 * Prepared statements kept. The queries of today are constants and far fewer; this bounds queries that are generated.
 */
export const preparedAtMost = 256

/** The WAL grows while somebody reads an old snapshot; after that it is truncated to this. */
export const keptLogBytes = 16_000_000

/** The primary code SQLITE_BUSY; its extended codes (BUSY_RECOVERY, BUSY_SNAPSHOT) carry it in the lowest byte. */
const busyCode = 5
/** Deno's `exec` gives no code; this is the text of all codes of SQLITE_BUSY. */
const busyMessage = 'database is locked'

export interface Patience {
  /** Measures how long a step waits. */
  readonly clock: Pick<Clock, 'after'>
  /** Uniform in [0, 1). */
  readonly fraction: () => number
}

/** Real timers and randomness; tests pass their own. */
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
  // The timeout first: the change to WAL mode needs an exclusive lock.
  database.exec(
    [
      `PRAGMA busy_timeout = ${openingMs}`,
      'PRAGMA journal_mode = WAL',
      'PRAGMA synchronous = FULL',
      // Deleted rows are overwritten, so that personal data does not stay in free pages.
      'PRAGMA secure_delete = ON',
      `PRAGMA journal_size_limit = ${keptLogBytes}`,
    ].join('; '),
  )
  let opening = true
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  /** The last step that waits; the next one waits for it. */
  let last: Promise<unknown> | undefined

  return {
    exec(query, ...params) {
      return prepared(query).all(...params)
    },
    transaction,
    purge() {
      // The WAL holds older pages until it is truncated, which needs an exclusive lock for a moment.
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
    // The first step ends the opening: from now on nothing blocks the thread for long.
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

  /** One step tries at a time, or each waiting step would block the thread in turn; each has its own deadline. */
  async function waitFor<T>(work: () => T, before: Promise<unknown> | undefined): Promise<T> {
    const patience = clock.after(patienceMs)
    let over = false
    void patience.elapsed.then(() => {
      over = true
    })
    try {
      await (before ?? clock.after(shortestPauseMs).elapsed)
      for (let pauseMs = shortestPauseMs; ; pauseMs = Math.min(longestPauseMs, 2 * pauseMs)) {
        // The error of the last attempt is the one that is thrown.
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
      // SQLite may have rolled back by itself, on a full disk for example; the first error is the one to report.
    }
  }
}

/** Undefined if another process holds the file: then nothing was done. */
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
