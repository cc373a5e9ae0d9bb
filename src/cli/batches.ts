/**
 * Batches of updates on their way to a relay, at the pace that its answers set.
 *
 * Guarantee: a batch is over only when each of its updates was acknowledged or refused by name; until then it is sent
 * again, under the same ids. Batches with updates of one visitor never travel together.
 */
import * as z from 'zod'
import { answeredAtMs, readRetryAfter } from '../core/wire/answer.ts'
import { Failed, Misuse } from './errors.ts'
import { answered, problemOf } from './relay-client.ts'
import type { RowUpdate } from './rows.ts'

/** The relay takes 100 updates and 1 MiB in one request; bytes of JSON in UTF-8. */
export const maxUpdates = 100
export const maxBatchBytes = 900_000
const mayPass = new Set([0, 408, 409, 429])
/** Results that acknowledge nothing: the update is sent again. */
const comeBack = new Set(['unavailable', 'in_flight'])
const firstAtOnce = 2
const mostAtOnce = 8
const firstWaitMs = 1_000
const longestWaitMs = 60_000

export interface ReadyRow {
  readonly line: number
  /** The visitor, as text that is equal for the same visitor. */
  readonly visitor: string
  readonly update: RowUpdate
}

export interface BatchesOptions {
  /** Of `POST /v1/updates`. */
  readonly url: string
  readonly token: string
  /** How long to wait for a relay that does not answer. */
  readonly giveUpMs: number
  /** Monotonic clock, ms. Default: the process's own. */
  readonly now?: () => number
  readonly stopping: AbortSignal
  /** Resolves after `ms`, or when the run is to stop. */
  readonly sleep: (ms: number) => Promise<void>
  /** Called for each update that the relay refuses, and whenever some were acknowledged. */
  readonly onRefused: (line: number, message: string) => void
  readonly onTaken: () => void
}

export class Batches {
  /** Acknowledged updates by status. */
  readonly counts: Record<string, number> = {}
  /** Between two batches, while the relay defers. */
  waitMs = 0
  /** Why nothing more is sent. */
  failure: Error | undefined
  /** The first line of what was not acknowledged. */
  firstLeft: number | undefined
  readonly #options: BatchesOptions
  readonly #underWay = new Map<Promise<void>, ReadonlySet<string>>()
  #atOnce = firstAtOnce

  constructor(options: BatchesOptions) {
    this.#options = options
  }

  /** Sends a batch as soon as there is room for it. */
  async start(batch: readonly ReadyRow[]): Promise<void> {
    while (this.#underWay.size >= this.#atOnce) await Promise.race(this.#underWay.keys())
    // While the relay defers, do not add to its backlog.
    if (this.waitMs > 0) {
      await this.over()
      await this.#options.sleep(this.waitMs)
    }
    const work: Promise<void> = this.#deliver(batch)
      .catch((error: unknown) => {
        this.failure ??= error instanceof Error ? error : new Error(String(error))
        const [first] = batch
        if (first !== undefined) this.firstLeft = Math.min(first.line, this.firstLeft ?? first.line)
      })
      .finally(() => this.#underWay.delete(work))
    this.#underWay.set(work, new Set(batch.map(({ visitor }) => visitor)))
  }

  /** Resolves once nothing of this visitor is in flight. */
  async without(visitor: string): Promise<void> {
    for (;;) {
      const [sent] = [...this.#underWay].find(([, visitors]) => visitors.has(visitor)) ?? []
      if (sent === undefined) return
      await sent
    }
  }

  /** Resolves once nothing is in flight. */
  async over(): Promise<void> {
    await Promise.all(this.#underWay.keys())
  }

  /**
   * @throws Failed if the relay is away for too long or its answer makes no sense, Misuse if it rejects the token
   */
  async #deliver(batch: readonly ReadyRow[]): Promise<void> {
    const { giveUpMs, stopping, now = () => performance.now() } = this.#options
    const giveUpAtMs = now() + giveUpMs
    let waitMs = firstWaitMs
    // Each round ends, shrinks the batch, or waits.
    for (let left = batch; left.length > 0; ) {
      const { status, body, retryAfter, date } = await this.#post(left)
      if (status === 200 || status === 202) {
        const results = resultsOf(body, left.length)
        this.#take(results.filter((result) => !comeBack.has(result.status)))
        left = left.filter((_, index) => comeBack.has(results[index]?.status ?? ''))
        if (left.length === 0) return
      } else if (status === 401) {
        throw new Misuse('the relay does not take this API_TOKEN')
      } else if (status === 422) {
        left = this.#withoutRefused(left, body)
        continue
      } else if (status === 413) {
        const [only] = left
        if (left.length === 1) return this.#options.onRefused(only?.line ?? 0, 'is larger than the relay takes')
        await this.#deliver(left.slice(0, left.length >> 1))
        left = left.slice(left.length >> 1)
        continue
      } else if (status < 500 && !mayPass.has(status)) {
        throw new Failed(`the relay answered ${status} ${problemOf(body)}`.trim())
      }
      const patienceMs = giveUpAtMs - now()
      if (stopping.aborted || patienceMs <= 0)
        throw new Failed(`the relay is not there (${status === 0 ? 'no answer' : status})`)
      const askedMs =
        readRetryAfter(retryAfter ?? undefined, answeredAtMs(date ?? undefined, Date.now()), Number.MAX_SAFE_INTEGER) ??
        0
      if (askedMs > patienceMs)
        throw new Failed(
          `the relay asks to be left alone for ${Math.ceil(askedMs / 60_000)} minutes, which is longer than it is waited for`,
        )
      this.#atOnce = 1
      await this.#options.sleep(Math.max(askedMs, Math.min(waitMs, patienceMs)))
      waitMs = Math.min(longestWaitMs, 2 * waitMs)
    }
  }

  /** Status 0 if nobody answers. */
  async #post(batch: readonly ReadyRow[]): ReturnType<typeof answered> {
    const { url, token } = this.#options
    try {
      return await answered(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ updates: batch.map(({ update }) => update) }),
      })
    } catch (error) {
      if (error instanceof Failed) return { status: 0, body: undefined, text: '', retryAfter: null, date: null }
      throw error
    }
  }

  /** Adjusts the pace to how much was deferred. */
  #take(results: readonly Result[]): void {
    let held = 0
    for (const { status, reason } of results) {
      this.counts[status] = (this.counts[status] ?? 0) + 1
      if (status === 'deferred' && reason !== 'contended' && reason !== 'delayed') held++
    }
    if (held > 0) {
      this.#atOnce = Math.max(1, Math.floor(this.#atOnce / 2))
      this.waitMs = Math.min(longestWaitMs, Math.max(firstWaitMs, 2 * this.waitMs))
    } else {
      this.#atOnce = Math.min(mostAtOnce, this.#atOnce + 1)
      this.waitMs = 0
    }
    this.#options.onTaken()
  }

  /** What is left of a batch without the updates that the relay refuses by their place in it; it is sent again. */
  #withoutRefused(batch: readonly ReadyRow[], body: unknown): readonly ReadyRow[] {
    const parsed = refusal.safeParse(body)
    const wrong = new Map<number, string>()
    for (const { path, message } of parsed.success ? parsed.data.errors : []) {
      const [, index, field = ''] = /^updates\[(\d+)\]\.?(.*)$/s.exec(path) ?? []
      if (index === undefined) continue
      if (Number(index) >= batch.length)
        throw new Failed(`the relay refuses update ${index} of a batch of ${batch.length}: ${noRelay}`)
      if (!wrong.has(Number(index))) wrong.set(Number(index), `${field} ${message}`.trim())
    }
    if (wrong.size === 0) throw new Failed(`the relay answered 422 ${problemOf(body)}`.trim())
    for (const [index, message] of wrong) this.#options.onRefused(batch[index]?.line ?? 0, message)
    // A batch with an invalid update was not taken at all; if an id was used before, the others were taken.
    const results = answer.safeParse(body)
    if (!results.success) return batch.filter((_, index) => !wrong.has(index))
    const others = resultsOf(body, batch.length).map((result, index) => (wrong.has(index) ? undefined : result))
    this.#take(others.filter((result) => result !== undefined && !comeBack.has(result.status)) as readonly Result[])
    return batch.filter((_, index) => comeBack.has(others[index]?.status ?? ''))
  }
}

const noRelay = 'what answers there is no relay'
const refusal = z.looseObject({ errors: z.array(z.looseObject({ path: z.string(), message: z.string() })) })
const answer = z.looseObject({ results: z.array(z.looseObject({ status: z.string(), reason: z.string().optional() })) })
type Result = z.output<typeof answer>['results'][number]

/** @throws Failed if the answer is not a relay's */
function resultsOf(body: unknown, expected: number): readonly Result[] {
  const parsed = answer.safeParse(body)
  if (!parsed.success || parsed.data.results.length !== expected) throw new Failed(noRelay)
  return parsed.data.results
}
