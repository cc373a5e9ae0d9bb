/** How scripts are run: by their hash, and with their text only where Redis does not have them. */
import type { Redis } from '@upstash/redis/cloudflare'
import { encodeHex } from '../../hex.ts'
import { NewerFormat } from '../errors.ts'
import { admitScript } from './scripts/admit.ts'
import { cancelScript } from './scripts/cancel.ts'
import { confirmClockScript } from './scripts/confirm-clock.ts'
import { beginScript, chargeScript, lifeScript } from './scripts/epoch.ts'
import { seriesScript } from './scripts/figures.ts'
import { firstStampsScript } from './scripts/first-stamps.ts'
import { closeBreakerScript } from './scripts/health.ts'
import { compareAndSetScript, leaseScript, recallScript, releaseScript } from './scripts/memos.ts'
import { moveInScript, moveOutScript } from './scripts/move.ts'
import { reserveScript } from './scripts/reserve.ts'
import { restateScript } from './scripts/restate.ts'
import { settleScript } from './scripts/settle.ts'
import { summaryScript, usageScript } from './scripts/summary.ts'
import { eraseScript, visitorScript } from './scripts/visitor.ts'

const scripts = [
  reserveScript,
  admitScript,
  cancelScript,
  settleScript,
  firstStampsScript,
  summaryScript,
  usageScript,
  seriesScript,
  confirmClockScript,
  closeBreakerScript,
  leaseScript,
  releaseScript,
  recallScript,
  compareAndSetScript,
  lifeScript,
  beginScript,
  chargeScript,
  restateScript,
  eraseScript,
  visitorScript,
  moveOutScript,
  moveInScript,
]

/** Runs one script. @returns its answer, read from JSON */
export type Run = (script: string, keys: readonly string[], input: object) => Promise<unknown>

export interface Scripts {
  readonly call: Run
  /**
   * Runs scripts in one HTTP request. If Redis does not have one of them, all are run again with their text.
   *
   * @param work starts its scripts before it first waits, so that they are all there when the request is made
   */
  together<T>(work: (run: Run) => Promise<T>): Promise<T>
}

/** What takes the command of a script: the client sends it at once, a pipeline gathers it. */
interface Evaluates {
  evalsha(hash: string, keys: string[], input: string[]): unknown
  eval(script: string, keys: string[], input: string[]): unknown
}

/**
 * No promise and no list of commands is kept between calls, so that on Workers requests may share it: what one of them
 * has asked for goes with its own `fetch`, and is lost with it alone.
 *
 * @param encode what a script gets as its one argument, as JSON
 * @throws NewerFormat from each call, where the store was written by a later version
 */
export function scriptsOn(redis: Redis, encode: (input: object) => string): Scripts {
  return {
    call: (script, keys, input) =>
      byHashOrText(async (evaluate) => decode(await evaluate(redis, script, keys, encode(input)))),
    together: (work) =>
      byHashOrText((evaluate) => {
        const pipeline = redis.pipeline()
        const answers = Promise.withResolvers<readonly unknown[]>()
        let made = false
        let commands = 0
        const run: Run = async (script, keys, input) => {
          if (made) throw new Error('a script came after the request that it belongs to')
          evaluate(pipeline, script, keys, encode(input))
          const place = commands++
          return decode((await answers.promise)[place])
        }
        const result = work(run)
        made = true
        pipeline.exec<unknown[]>().then(answers.resolve, answers.reject)
        return result
      }),
  }
}

type Evaluate = (on: Evaluates, script: string, keys: readonly string[], input: string) => unknown

async function byHashOrText<T>(work: (evaluate: Evaluate) => Promise<T>): Promise<T> {
  const hashes = known ?? (await hashAll())
  try {
    return await work((on, script, keys, input) => on.evalsha(hashes.get(script) ?? '', [...keys], [input]))
  } catch (error) {
    // The client quotes the command, in which anything may stand.
    const said = error instanceof Error ? (error.message.split(', command was: ')[0] ?? '') : ''
    const newer = /NEWER_FORMAT (\d+)/.exec(said)?.[1]
    if (newer !== undefined) throw new NewerFormat(Number(newer))
    // A script that was not there has changed nothing, and a reservation that was made answers the same again.
    if (!said.includes('NOSCRIPT')) throw error
    return work((on, script, keys, input) => on.eval(script, [...keys], [input]))
  }
}

function decode(answer: unknown): unknown {
  return JSON.parse(String(answer))
}

/** Of all scripts, once they are there. Never a promise: on Workers a request must not wait for another one's. */
let known: ReadonlyMap<string, string> | undefined

async function hashAll(): Promise<ReadonlyMap<string, string>> {
  const utf8 = new TextEncoder()
  const hashed = scripts.map(async (script) => {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', utf8.encode(script)))
    return [script, encodeHex(digest)] as const
  })
  known = new Map(await Promise.all(hashed))
  return known
}
