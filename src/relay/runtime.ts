/** The ports that every runtime fills alike: its clock, its randomness, its log. */
import type { Clock, Random } from '../core/clock.ts'
import { encodeHex } from '../core/hex.ts'

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

/** Logs one line of JSON for each event, without times: the runtime's log adds them. */
export function log(event: string, details: Readonly<Record<string, string | number>> = {}): void {
  console.log(JSON.stringify({ event, ...details }))
}
