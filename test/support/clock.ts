/** A clock that stands still until it is advanced, and a seeded random. */
import type { Clock, Random } from '../../src/core/clock.ts'

export interface FakeClock extends Clock {
  /** Moves time on, and runs every timer that falls due and whatever awaits it. */
  advance(ms: number): Promise<void>
}

export function fakeClock(startMs = 1_790_000_000_000): FakeClock {
  let nowMs = startMs
  let timers: { dueMs: number; ring: () => void }[] = []
  return {
    now: () => nowMs,
    after: (ms) => {
      let timer: (typeof timers)[number] | undefined
      const elapsed = new Promise<void>((ring) => {
        timer = { dueMs: nowMs + ms, ring }
        timers.push(timer)
      })
      return {
        elapsed,
        cancel: () => {
          timers = timers.filter((other) => other !== timer)
        },
      }
    },
    advance: async (ms) => {
      const endMs = nowMs + ms
      for (;;) {
        await settleMicrotasks()
        const next = timers.filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0]
        if (next === undefined) break
        timers = timers.filter((other) => other !== next)
        nowMs = Math.max(nowMs, next.dueMs)
        next.ring()
      }
      nowMs = endMs
      await settleMicrotasks()
    },
  }
}

/** Lets pending promise chains finish, WebCrypto's included. */
export async function settleMicrotasks(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** mulberry32: small, seeded, good enough to vary tests with. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    fraction,
    hex: (bytes) =>
      Array.from({ length: bytes }, () =>
        Math.floor(fraction() * 256)
          .toString(16)
          .padStart(2, '0'),
      ).join(''),
  }
}
