/** How scripts are run: by their hash, and with their text only where Redis does not have them. */
import type { Redis } from '@upstash/redis/cloudflare'
import { encodeHex } from '../../hex.ts'
import { NewerFormat } from '../errors.ts'
import { admitScript } from './scripts/admit.ts'
import { cancelScript } from './scripts/cancel.ts'
import { confirmClockScript } from './scripts/confirm-clock.ts'
import { beginScript, chargeScript, lifeScript } from './scripts/epoch.ts'
import { firstStampsScript } from './scripts/first-stamps.ts'
import { closeBreakerScript } from './scripts/health.ts'
import { leaseScript, releaseScript } from './scripts/memos.ts'
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
  confirmClockScript,
  closeBreakerScript,
  leaseScript,
  releaseScript,
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
   * Runs scripts by their hash. If Redis does not have one of them, all are run again with their text.
   *
   * @param work starts its scripts at once, so that they travel in one request
   */
  together<T>(work: (run: Run) => Promise<T>): Promise<T>
}

/**
 * @param encode what a script gets as its one argument, as JSON
 * @throws NewerFormat from each call, where the store was written by a later version
 */
export function scriptsOn(redis: Redis, encode: (input: object) => string): Scripts {
  // Hashed once, before the first command: hashing between two commands would part them into two requests.
  const hashed = hashAll()
  const together: Scripts['together'] = async (work) => {
    const hashes = await hashed
    try {
      return await work((script, keys, input) =>
        decode(redis.evalsha(hashes.get(script) ?? '', [...keys], [encode(input)])),
      )
    } catch (error) {
      const newer = error instanceof Error ? /NEWER_FORMAT (\d+)/.exec(error.message)?.[1] : undefined
      if (newer !== undefined) throw new NewerFormat(Number(newer))
      // A script that was not there has changed nothing, and a reservation that was made answers the same again.
      if (!(error instanceof Error) || !error.message.includes('NOSCRIPT')) throw error
      return work((script, keys, input) => decode(redis.eval(script, [...keys], [encode(input)])))
    }
  }
  return { together, call: (script, keys, input) => together((run) => run(script, keys, input)) }
}

async function decode(answer: Promise<unknown>): Promise<unknown> {
  return JSON.parse(String(await answer))
}

/** Of all scripts, once they are there. Never a promise: on Workers a request must not wait for another one's. */
let known: ReadonlyMap<string, string> | undefined

async function hashAll(): Promise<ReadonlyMap<string, string>> {
  if (known !== undefined) return known
  const utf8 = new TextEncoder()
  const hashed = scripts.map(async (script) => {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', utf8.encode(script)))
    return [script, encodeHex(digest)] as const
  })
  known = new Map(await Promise.all(hashed))
  return known
}
