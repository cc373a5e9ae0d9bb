/** The ports that every runtime fills alike: its clock, its randomness, its log. */
import type { Clock, Random } from '../core/clock.ts'
import { encodeHex } from '../core/hex.ts'
import { type LogDetails, type LogEvent, levelOf } from '../core/log.ts'

export type RuntimeName = 'workers' | 'node' | 'deno' | 'bun'

const globals = globalThis as { Deno?: unknown; Bun?: unknown; WebSocketPair?: unknown }
export const runtimeName: RuntimeName =
  globals.Deno !== undefined
    ? 'deno'
    : globals.Bun !== undefined
      ? 'bun'
      : globals.WebSocketPair !== undefined
        ? 'workers'
        : 'node'

export const systemClock: Clock = {
  now: () => Date.now(),
  // On Workers `performance.now()` is `Date.now()` with another origin: it cannot show a jump of the clock.
  ...(runtimeName === 'workers' ? {} : { elapsed: () => performance.now() }),
  after: (ms) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const elapsed = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    return { elapsed, cancel: () => clearTimeout(timer) }
  },
}

export const systemRandom: Random = {
  hex: (bytes) => encodeHex(randomBytes(bytes)),
  fraction: () => Math.random(),
}

export function randomBytes(bytes: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(bytes))
}

const consoles = { info: 'log', warn: 'warn', error: 'error' } as const

/**
 * Logs one line of JSON for each event, without times: the runtime's log adds them. By the console's method of its
 * level too, since that is what Workers Logs takes for the level.
 */
export function log(event: LogEvent, details: LogDetails = {}): void {
  const level = levelOf(event)
  console[consoles[level]](JSON.stringify({ level, event, ...details }))
}
