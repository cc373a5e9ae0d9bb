/** What `send` tells its user: the progress of a run, and its end. */
import type { Batches } from './batches.ts'
import { type Exit, exit, type Io } from './command.ts'
import { Failed, Misuse, reasonOf } from './errors.ts'
import type { OwnIds } from './own-ids.ts'
import type { RefusedRows } from './packing.ts'

const barChars = 24

export interface Run {
  readonly file: string
  readonly rows: number
  readonly batches: Pick<Batches, 'counts' | 'failure' | 'firstLeft'>
  readonly refused: RefusedRows
  readonly ids: Pick<OwnIds, 'end'>
  /** The first line that was not sent, where the run stopped before the end of the file. */
  readonly stoppedAt: number | undefined
  /** The error of the file, or of the file of refused rows, if one failed. */
  readonly failure: unknown
  readonly wasStopped: boolean
  readonly durationMs: number
  /** The arguments of this run, without the line where it began. */
  readonly again: readonly string[]
  readonly writesErrors: boolean
}

/** @param expected rows, estimated */
export function progressLine(
  { counts, waitMs }: Pick<Batches, 'counts' | 'waitMs'>,
  refused: number,
  expected: number,
): string {
  const acknowledged = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return `${bar(acknowledged + refused, expected)} ${countsOf(counts, refused)}${slowness(waitMs)}`
}

/** Without a terminal nobody watches, and a log should not grow by a line for each batch. */
const lineEveryMs = 60_000

/**
 * Tells how far a run is: on a terminal whenever it is called, else a line a minute on standard error.
 *
 * @param now monotonic clock, ms
 */
export function teller(
  { progress, err }: Pick<Io, 'progress' | 'err'>,
  line: () => string,
  now: () => number = () => performance.now(),
): () => void {
  let toldMs = now()
  return () => {
    if (progress !== undefined) return progress(line())
    if (now() - toldMs < lineEveryMs) return
    toldMs = now()
    err(line())
  }
}

/** Reports how a run ended. @returns the command's exit status */
export function report(run: Run, io: Io): Exit {
  const { rows, batches, refused, failure, durationMs } = run
  const left = [run.stoppedAt, batches.firstLeft].filter((line) => line !== undefined)
  const resumeFrom = left.length === 0 ? {} : { resumeFrom: Math.min(...left) }
  io.out(
    io.isTerminal
      ? `${rows} rows in ${(durationMs / 1_000).toFixed(1)} s: ${countsOf(batches.counts, refused.count)}`
      : JSON.stringify({ rows, ...batches.counts, refused: refused.count, durationMs, ...resumeFrom }),
  )
  for (const line of refused.shown) io.err(line)
  if (refused.count > refused.shown.length)
    io.err(
      `and ${refused.count - refused.shown.length} more${run.writesErrors ? '' : '; --errors <file> writes all of them down'}`,
    )
  for (const warning of run.ids.end(batches.counts)) io.err(warning)
  if (batches.failure !== undefined) io.err(batches.failure.message)
  if (failure !== undefined) io.err(failure instanceof Failed ? failure.message : `${run.file}: ${reasonOf(failure)}`)
  if (resumeFrom.resumeFrom !== undefined)
    io.err(
      `not finished. Go on with: target-relay send ${run.again.map(quoted).join(' ')} --from-line ${resumeFrom.resumeFrom}`,
    )
  return exitOf(run)
}

/** What Target refused, or the relay set aside, is acknowledged and no success. */
function exitOf({ batches, refused, stoppedAt, wasStopped }: Run): Exit {
  if (batches.failure instanceof Misuse) return exit.misused
  const { rejected = 0, set_aside: setAside = 0 } = batches.counts
  const isWhole = !wasStopped && batches.failure === undefined && stoppedAt === undefined
  return isWhole && refused.count === 0 && rejected + setAside === 0 ? exit.ok : exit.failed
}

function quoted(argument: string): string {
  return /^[\w./:=@%+,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
}

function bar(done: number, expected: number): string {
  // What is expected is an estimate: it is not full before the end.
  const share = Math.min(0.99, done / Math.max(1, expected))
  const full = Math.floor(share * barChars)
  return `[${'#'.repeat(full)}${'-'.repeat(barChars - full)}] ${Math.floor(100 * share)} %`
}

function countsOf(counts: Readonly<Record<string, number>>, refused: number): string {
  return [...Object.entries(counts), ['refused', refused] as const]
    .map(([status, count]) => `${count} ${status}`)
    .join(', ')
}

function slowness(waitMs: number): string {
  return waitMs === 0 ? '' : `; the relay defers: ${waitMs / 1_000} s between batches`
}
