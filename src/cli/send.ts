/**
 * `target-relay send`: a file of updates to a relay, in batches.
 *
 * Guarantee: every row is sent until the relay has acknowledged it, or is named as refused. A row's id comes from the
 * file (its name, size and time of change), line and content, so that a run that is begun again repeats nothing at
 * Target, and tomorrow's export of the same name is another one. Rows of one visitor are sent one after the other, so
 * that the later line wins. Memory does not grow with the file.
 * Known hole: the relay remembers ids for RETENTION_HOURS + 24 h; what is begun again later is sent again. Two files
 * that are given the same --name share their ids.
 */

import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { basename } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { given } from '../core/given.ts'
import { readTime, timeForms } from '../core/time.ts'
import { futureToleranceMs } from '../core/update/stamp.ts'
import { Batches, type ReadyRow } from './batches.ts'
import type { Command, Exit, Io } from './command.ts'
import { Failed, isFromOutside, Misuse } from './errors.ts'
import { wantFile } from './files.ts'
import { OwnIds } from './own-ids.ts'
import { Packing, RefusedRows } from './packing.ts'
import { openRefused, type RefusedFile } from './refused-file.ts'
import { relayUrl, tokenOf } from './relay-client.ts'
import { estimateRows, type FileFormat, fileFormats, formatOf, type Row, type RowUpdate, readRows } from './rows.ts'
import { progressLine, type Run, report, teller } from './send-report.ts'
import { wantEncoding, wantText } from './text.ts'

/** One call a row: above this, Adobe's Bulk API (500,000 rows a file, no daily limit) serves better. */
const rowsForBulk = 100_000
const defaultGiveUpMinutes = 60
/** A longer timer would fire at once. */
const longestTimerMs = 2_147_483_647

export const send: Command = {
  summary: 'send a file of updates to a relay',
  usage: `target-relay send <file> [--relay <url>] [--format bulk|csv|ndjson] [--encoding <label>] [--name <text>]
                  [--from-line <n>] [--occurred-at <time>] [--errors <file>] [--give-up-minutes ${defaultGiveUpMinutes}]

Sends Adobe's bulk format (a batch= line, pcId or thirdPartyId first), CSV with such a header, or NDJSON of updates to
--relay (or RELAY_URL; http://127.0.0.1:8787) with API_TOKEN: best one that was granted the bulk lane (bulk:… in
API_TOKENS), so that it never crowds out what happens now. The relay's answers set the pace. Columns id and occurredAt
are the event's; --occurred-at is the time of all rows (the file's, if it was exported before newer events), at most
RETENTION_HOURS (72) ago. Times are ISO 8601 with an offset, or epoch seconds or milliseconds. Attribute names go without the
profile. prefix. Files are UTF-8, UTF-16 with a byte order mark, or --encoding (windows-1252, …).
A broken run can be begun again, from the start or from the line that it names: rows that are known cost nothing. They are
known by the file (--name; default its name, size and time of change), line and content. --errors is written anew, or with
--from-line added to. Exit 1 where rows were refused or not sent.`,

  async run(io) {
    const { values, positionals } = parseArgs({
      args: [...io.args],
      allowPositionals: true,
      options: {
        relay: { type: 'string' },
        format: { type: 'string' },
        encoding: { type: 'string' },
        name: { type: 'string' },
        'from-line': { type: 'string' },
        'occurred-at': { type: 'string' },
        errors: { type: 'string' },
        'give-up-minutes': { type: 'string', default: String(defaultGiveUpMinutes) },
      },
    })
    const [file] = positionals
    if (file === undefined || positionals.length > 1) throw new Misuse('name one file')
    const token = tokenOf(io.env, 'API_TOKEN')
    if (values.format !== undefined && !fileFormats.some((format) => format === values.format))
      throw new Misuse(`--format is one of ${fileFormats.join(', ')}`)
    const fromLine = whole('--from-line', values['from-line'] ?? '1')
    const giveUpMs = 60_000 * whole('--give-up-minutes', values['give-up-minutes'])
    const occurredAt = values['occurred-at']
    if (occurredAt !== undefined) wantTime(occurredAt)
    wantEncoding(values.encoding)
    const url = `${relayUrl(io.env, values.relay)}/v1/updates`
    const input = await wantFile(file)
    const format = (values.format as FileFormat | undefined) ?? (await formatOf(file, values.encoding))
    // Nothing of a file is sent unless all of it is text.
    await wantText(file, values.encoding)
    // Last, since it is the only check that changes something.
    const goesOn = values['from-line'] !== undefined
    const errors = values.errors === undefined ? undefined : await openRefused(values.errors, input, goesOn)
    const stopping = new AbortController()
    const stop = () => stopping.abort()
    process.once('SIGINT', stop).once('SIGTERM', stop)
    try {
      return await sendFile(file, io, {
        again: io.args.filter((one, index) => !one.startsWith('--from-line') && io.args[index - 1] !== '--from-line'),
        url,
        token,
        name: values.name ?? nameOf(file, input),
        format,
        fromLine,
        giveUpMs,
        stopping: stopping.signal,
        ...given({ encoding: values.encoding, occurredAt, errors }),
      })
    } finally {
      await errors?.close()
      process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop)
    }
  },
}

interface SendOptions {
  /** The arguments of this run, without the line where it began. */
  readonly again: readonly string[]
  readonly url: string
  readonly token: string
  /** Names the file in ids. */
  readonly name: string
  readonly format: FileFormat
  readonly fromLine: number
  readonly giveUpMs: number
  readonly stopping: AbortSignal
  readonly encoding?: string
  readonly occurredAt?: string
  readonly errors?: RefusedFile
}

async function sendFile(file: string, io: Io, options: SendOptions): Promise<Exit> {
  const { stopping, again } = options
  const startMs = Date.now()
  // An unreadable file is reported when its rows are read.
  const expected = await estimateRows(file).catch(() => 0)
  if (expected > rowsForBulk)
    io.err(
      `about ${expected} rows: each is one call of the day's 1,000,000. Adobe's Bulk Profile Update API takes 500,000 rows a file without that limit (but creates profiles, and its consecutive batches may override each other)`,
    )
  const refused = new RefusedRows(options.errors)
  const tell = teller(io, () => progressLine(batches, refused.count, expected))
  const ids = new OwnIds()
  const batches: Batches = new Batches({
    ...options,
    sleep: (ms) => sleep(Math.min(ms, longestTimerMs), undefined, { signal: stopping }).catch(() => undefined),
    onRefused: (line, message) => refused.add(line, message),
    onTaken: () => tell(),
  })
  const read = await sendRows(file, options, { batches, refused, ids, warn: (message) => io.err(message) })
  await batches.over()
  io.progress?.('')
  return report(
    {
      ...read,
      file,
      batches,
      refused,
      ids,
      wasStopped: stopping.aborted,
      durationMs: Date.now() - startMs,
      again,
      writesErrors: options.errors !== undefined,
    },
    io,
  )
}

interface Sending {
  readonly batches: Batches
  readonly refused: RefusedRows
  readonly ids: OwnIds
  readonly warn: (message: string) => void
}

/**
 * Reads the file and sends its rows, until its end or until something stops the run. What is on its way is not waited
 * for.
 */
async function sendRows(
  file: string,
  options: SendOptions,
  { batches, refused, ids, warn }: Sending,
): Promise<Pick<Run, 'rows' | 'stoppedAt' | 'failure'>> {
  const { format, fromLine, encoding, stopping } = options
  const isBroken = () => stopping.aborted || batches.failure !== undefined
  const packing = new Packing(batches, refused)
  let rows = 0
  let stoppedAt: number | undefined
  let failure: unknown
  let at = fromLine
  try {
    for await (const row of readRows(file, format, encoding)) {
      if (row.line !== 0 && row.line < fromLine) continue
      at = row.line
      if (isBroken()) {
        stoppedAt = row.line
        break
      }
      rows++
      if (!('update' in row)) {
        // The rows after this one cannot be parsed.
        if (row.ends === true) stoppedAt = row.line
        refused.add(row.line, row.error)
        continue
      }
      const warning = ids.see(row.update)
      if (warning !== undefined) warn(warning)
      await packing.add(readyRow(row, options))
    }
  } catch (error) {
    if (error instanceof Misuse || !(error instanceof Failed || isFromOutside(error))) throw error
    // The file, or that of the refused rows, failed: what was read before is sent all the same.
    failure = error
    stoppedAt = at
  }
  if (isBroken()) stoppedAt = packing.firstLine ?? stoppedAt
  else await packing.flush()
  return { rows, stoppedAt, failure }
}

/** Another export of the same name is another file. */
function nameOf(file: string, { size, mtimeMs }: BigIntStats): string {
  return `${basename(file)}@${mtimeMs.toString(36)}.${size.toString(36)}`
}

/** A row's id names this line of this file with this content: another content is another event. */
function readyRow({ line, update }: Extract<Row, { update: RowUpdate }>, { name, occurredAt }: SendOptions): ReadyRow {
  const content = createHash('sha256').update(JSON.stringify(update)).digest('hex').slice(0, 16)
  const at = update.occurredAt ?? occurredAt
  return {
    line,
    visitor: JSON.stringify(update.visitor),
    update: {
      ...update,
      id: update.id ?? `${name}:${line}:${content}`,
      ...given({ occurredAt: at }),
    },
  }
}

/** @throws Misuse if the relay would refuse it in every row */
function wantTime(occurredAt: string): void {
  const atMs = readTime(occurredAt)
  if (atMs === undefined) throw new Misuse(`--occurred-at ${timeForms}`)
  if (atMs > Date.now() + futureToleranceMs) throw new Misuse('--occurred-at is more than 5 minutes ahead')
}

function whole(option: string, text: string): number {
  if (!/^[1-9]\d{0,11}$/.test(text)) throw new Misuse(`${option} is a whole number from 1 on`)
  return Number(text)
}
