/**
 * `target-relay send`: a file of updates to a relay, in batches.
 *
 * Guarantee: every row is sent until the relay has acknowledged it, or is named as refused. A row's id comes from file,
 * line and content, so that a run that is begun again repeats nothing at Target. Rows of one visitor are sent one after
 * the other, so that the later line wins. Memory does not grow with the file.
 * Known hole: the relay remembers ids for RETENTION_HOURS + 24 h; what is begun again later is sent again.
 */
import { createHash } from 'node:crypto'
import { createWriteStream, type WriteStream } from 'node:fs'
import { basename } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Command, type Exit, exit, type Io, Misuse } from './command.ts'
import { answered, Failed, problemOf, relayUrl } from './relay-client.ts'
import { estimateRows, type FileFormat, fileFormats, formatOf, type Row, type RowUpdate, readRows } from './rows.ts'

/** The relay takes 100 updates and 1 MiB in one request. */
const maxUpdates = 100
const maxBatchBytes = 900_000
const mostAtOnce = 8
/** One call a row: above this, Adobe's Bulk API (500,000 rows a file, no daily limit) is the better road. */
const rowsForBulk = 100_000
const shownErrors = 20
/** The longest wait between two tries, and how long the relay may be away. */
const longestWaitMs = 60_000
const firstWaitMs = 1_000
const defaultGiveUpMinutes = 60

export const send: Command = {
  summary: 'send a file of updates to a relay',
  usage: `target-relay send <file> [--relay <url>] [--format bulk|csv|ndjson] [--name <text>] [--from-line <n>]
                  [--occurred-at <time>] [--errors <file>] [--give-up-minutes ${defaultGiveUpMinutes}]

Sends Adobe's bulk format (a batch= line, pcId or thirdPartyId first), CSV with such a header, or NDJSON of updates to
--relay (or RELAY_URL; http://127.0.0.1:8787) with API_TOKEN: best one that was granted the bulk lane (bulk:… in
API_TOKENS), so that it never crowds out what happens now. The relay's answers set the pace. Columns id and occurredAt
are the event's; --occurred-at is the time of all rows (the file's, if it was exported before newer events).
A broken run can be begun again, from the start or from the line that it names: rows that are known cost nothing; --name
must then be the same (default: the file's name). Exit 1 where rows were refused or not sent.`,

  async run(io) {
    const { values, positionals } = parseArgs({
      args: [...io.args],
      allowPositionals: true,
      options: {
        relay: { type: 'string' },
        format: { type: 'string' },
        name: { type: 'string' },
        'from-line': { type: 'string', default: '1' },
        'occurred-at': { type: 'string' },
        errors: { type: 'string' },
        'give-up-minutes': { type: 'string', default: String(defaultGiveUpMinutes) },
      },
    })
    const [file] = positionals
    if (file === undefined || positionals.length > 1) throw new Misuse('name one file')
    const token = io.env['API_TOKEN']
    if (token === undefined || token === '') throw new Misuse('set API_TOKEN')
    if (values.format !== undefined && !fileFormats.some((format) => format === values.format))
      throw new Misuse(`--format is one of ${fileFormats.join(', ')}`)
    const fromLine = whole('--from-line', values['from-line'])
    const occurredAt = values['occurred-at']
    if (occurredAt !== undefined && Number.isNaN(Date.parse(occurredAt))) throw new Misuse('--occurred-at is an ISO 8601 time')
    const sending = new Sending(io, {
      url: `${relayUrl(io.env, values.relay)}/v1/updates`,
      token,
      name: values.name ?? basename(file),
      giveUpMs: 60_000 * whole('--give-up-minutes', values['give-up-minutes']),
      ...(occurredAt === undefined ? {} : { occurredAt }),
      ...(values.errors === undefined ? {} : { errors: createWriteStream(values.errors) }),
    })
    return sending.run(file, (values.format as FileFormat | undefined) ?? (await formatOf(file)), fromLine)
  },
}

interface SendOptions {
  readonly url: string
  readonly token: string
  readonly name: string
  readonly giveUpMs: number
  readonly occurredAt?: string
  readonly errors?: WriteStream
}

interface Ready {
  readonly line: number
  readonly visitor: string
  readonly update: RowUpdate
}

class Sending {
  readonly #io: Io
  readonly #options: SendOptions
  readonly #counts: Record<string, number> = {}
  readonly #shown: string[] = []
  /** Batches on their way, with the visitors in them. */
  readonly #underWay = new Map<Promise<void>, ReadonlySet<string>>()
  readonly #stopping = new AbortController()
  #atOnce = 2
  #waitMs = 0
  #failure: Error | undefined
  /** Every line before it is acknowledged or refused; absent where that is so of all. */
  #resumeFrom: number | undefined
  #refused = 0
  #rows = 0

  constructor(io: Io, options: SendOptions) {
    this.#io = io
    this.#options = options
  }

  async run(file: string, format: FileFormat, fromLine: number): Promise<Exit> {
    await this.#hint(file)
    const startMs = Date.now()
    const stop = () => this.#stopping.abort()
    process.once('SIGINT', stop).once('SIGTERM', stop)
    try {
      await this.#sendRows(file, format, fromLine)
    } finally {
      process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop)
      this.#io.progress?.('')
      this.#options.errors?.end()
    }
    return this.#report(file, Date.now() - startMs)
  }

  async #sendRows(file: string, format: FileFormat, fromLine: number): Promise<void> {
    let batch: Ready[] = []
    let bytes = 0
    const flush = async () => {
      if (batch.length === 0) return
      await this.#room()
      this.#start(batch)
      batch = []
      bytes = 0
    }
    for await (const row of readRows(file, format)) {
      if (row.line !== 0 && row.line < fromLine) continue
      if (this.#broken) {
        this.#leave(row.line)
        break
      }
      this.#rows++
      const text = 'update' in row ? JSON.stringify(row.update) : ''
      if (!('update' in row)) {
        this.#refuse(row.line, row.error)
        continue
      }
      if (text.length > maxBatchBytes) {
        this.#refuse(row.line, 'is larger than the relay takes')
        continue
      }
      const ready = this.#ready(row)
      // One after the other, or the later line could overtake.
      if (batch.some(({ visitor }) => visitor === ready.visitor)) await flush()
      if (batch.length >= maxUpdates || bytes + text.length > maxBatchBytes) await flush()
      for (;;) {
        const [sent] = [...this.#underWay].find(([, visitors]) => visitors.has(ready.visitor)) ?? []
        if (sent === undefined) break
        await sent
      }
      batch.push(ready)
      bytes += text.length
    }
    if (!this.#broken) await flush()
    else if (batch[0] !== undefined) this.#leave(batch[0].line)
    await Promise.all(this.#underWay.keys())
  }

  get #broken(): boolean {
    return this.#stopping.signal.aborted || this.#failure !== undefined
  }

  /** What is left behind is where the next run begins. */
  #leave(line: number): void {
    this.#resumeFrom = Math.min(line, this.#resumeFrom ?? line)
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
  }

  /** A row's id names this line of this file with this content: another content is another event. */
  #ready({ line, update }: Extract<Row, { update: RowUpdate }>): Ready {
    const content = createHash('sha256').update(JSON.stringify(update)).digest('hex').slice(0, 16)
    const occurredAt = update.occurredAt ?? this.#options.occurredAt
    return {
      line,
      visitor: JSON.stringify(update.visitor),
      update: {
        ...update,
        id: update.id ?? `${this.#options.name}:${line}:${content}`,
        ...(occurredAt === undefined ? {} : { occurredAt }),
      },
    }
  }

  async #room(): Promise<void> {
    while (this.#underWay.size >= this.#atOnce) await Promise.race(this.#underWay.keys())
    // The relay defers: what it holds back need not be more.
    if (this.#waitMs > 0) {
      await Promise.all(this.#underWay.keys())
      await this.#sleep(this.#waitMs)
    }
  }

  #start(batch: readonly Ready[]): void {
    const work: Promise<void> = this.#deliver(batch)
      .catch((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(String(error))
        this.#leave(batch[0]?.line ?? 1)
      })
      .finally(() => this.#underWay.delete(work))
    this.#underWay.set(work, new Set(batch.map(({ visitor }) => visitor)))
  }

  /** Until the relay has taken every row of it, or refused it. @throws Failed where it is away for too long */
  async #deliver(batch: readonly Ready[]): Promise<void> {
    const giveUpAtMs = Date.now() + this.#options.giveUpMs
    let waitMs = firstWaitMs
    for (let left = batch; left.length > 0; ) {
      const { status, body, retryAfter } = await this.#post(left)
      if (status === 200 || status === 202) {
        this.#take((body as { results?: readonly { status: string; reason?: string }[] }).results ?? [])
        return
      }
      if (status === 401) throw new Misuse('the relay does not take this API_TOKEN')
      if (status === 422) {
        left = this.#withoutRefused(left, body)
        continue
      }
      if (status !== 0 && status < 500 && status !== 409 && status !== 429)
        throw new Failed(`the relay answered ${status} ${problemOf(body)}`)
      if (this.#stopping.signal.aborted || Date.now() > giveUpAtMs)
        throw new Failed(`the relay is not there (${status === 0 ? 'no answer' : status})`)
      this.#atOnce = 1
      await this.#sleep(Math.max(waitMs, 1_000 * (Number(retryAfter) || 0)))
      waitMs = Math.min(longestWaitMs, 2 * waitMs)
    }
  }

  async #post(batch: readonly Ready[]): Promise<{ status: number; body: unknown; retryAfter: string | null }> {
    try {
      return await answered(this.#options.url, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.#options.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ updates: batch.map(({ update }) => update) }),
      })
    } catch (error) {
      if (error instanceof Failed) return { status: 0, body: undefined, retryAfter: null }
      throw error
    }
  }

  /** What was deferred says how fast to go on. */
  #take(results: readonly { readonly status: string; readonly reason?: string }[]): void {
    let held = 0
    for (const { status, reason } of results) {
      this.#counts[status] = (this.#counts[status] ?? 0) + 1
      if (status === 'deferred' && reason !== 'contended' && reason !== 'delayed') held++
    }
    if (held > 0) {
      this.#atOnce = Math.max(1, Math.floor(this.#atOnce / 2))
      this.#waitMs = Math.min(longestWaitMs, Math.max(firstWaitMs, 2 * this.#waitMs))
    } else {
      this.#atOnce = Math.min(mostAtOnce, this.#atOnce + 1)
      this.#waitMs = 0
    }
    this.#show()
  }

  /** The relay names what is wrong by its place in the batch; the rest is sent again. */
  #withoutRefused(batch: readonly Ready[], body: unknown): readonly Ready[] {
    const errors = ((body as { errors?: unknown } | undefined)?.errors ?? []) as readonly { path?: unknown; message?: unknown }[]
    const wrong = new Map<number, string>()
    for (const { path, message } of errors) {
      const [, index, field = ''] = /^updates\[(\d+)\]\.?(.*)$/s.exec(String(path)) ?? []
      if (index !== undefined && !wrong.has(Number(index))) wrong.set(Number(index), `${field} ${String(message)}`.trim())
    }
    if (wrong.size === 0) throw new Failed(`the relay answered 422 ${problemOf(body)}`)
    for (const [index, message] of wrong) this.#refuse(batch[index]?.line ?? 0, message)
    return batch.filter((_, index) => !wrong.has(index))
  }

  #refuse(line: number, message: string): void {
    this.#refused++
    if (this.#shown.length < shownErrors) this.#shown.push(`line ${line}: ${message}`)
    this.#options.errors?.write(`${JSON.stringify({ line, message })}\n`)
  }

  async #hint(file: string): Promise<void> {
    const rows = await estimateRows(file)
    if (rows < rowsForBulk) return
    this.#io.err(
      `about ${rows} rows: each is one call of the day's 1,000,000. Adobe's Bulk Profile Update API takes 500,000 rows a file without that limit (but creates profiles, and its consecutive batches may override each other)`,
    )
  }

  #show(): void {
    const done = Object.entries(this.#counts)
      .map(([status, count]) => `${count} ${status}`)
      .join(', ')
    const slow = this.#waitMs > 0 ? `; the relay defers, waiting ${this.#waitMs / 1_000} s between batches` : ''
    this.#io.progress?.(`${this.#rows} rows read, ${done}${this.#refused > 0 ? `, ${this.#refused} refused` : ''}${slow}`)
  }

  #report(file: string, durationMs: number): Exit {
    const { out, err, isTerminal } = this.#io
    const resumeFrom = this.#resumeFrom
    const report = {
      rows: this.#rows,
      ...this.#counts,
      refused: this.#refused,
      durationMs,
      ...(resumeFrom === undefined ? {} : { resumeFrom }),
    }
    if (!isTerminal) out(JSON.stringify(report))
    else {
      const counts = Object.entries(this.#counts).map(([status, count]) => `${count} ${status}`)
      out(`${this.#rows} rows in ${(durationMs / 1_000).toFixed(1)} s: ${[...counts, `${this.#refused} refused`].join(', ')}`)
    }
    for (const line of this.#shown) err(line)
    if (this.#refused > this.#shown.length)
      err(
        `and ${this.#refused - this.#shown.length} more${this.#options.errors === undefined ? '; --errors <file> writes all of them down' : ''}`,
      )
    if (this.#failure !== undefined) err(this.#failure.message)
    if (resumeFrom !== undefined)
      err(`not finished. Go on with: target-relay send ${file} --name ${this.#options.name} --from-line ${resumeFrom}`)
    if (this.#failure instanceof Misuse) return exit.misused
    return this.#broken || this.#refused > 0 ? exit.failed : exit.ok
  }
}

function whole(option: string, text: string): number {
  if (!/^[1-9]\d{0,11}$/.test(text)) throw new Misuse(`${option} is a whole number from 1 on`)
  return Number(text)
}
