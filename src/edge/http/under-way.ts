/**
 * How many requests are handled at once. Senders do not wait for each other: where more come than the relay can handle, each
 * further one would make all others later, and hold memory, until all of them fail.
 *
 * Guarantee: a request over the bound is refused before anything of it is kept. A request does not count while its body
 * is still arriving, so senders that are slow with their bodies cannot fill the bound.
 * Known hole: a request that its platform ends takes its place for `placeLastsMs`; the work behind an answer takes none.
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { dueCount, type OnceAMinuteMemory } from '../once-a-minute.ts'
import type { BodyRead } from './body.ts'

/** Plain data, which on Workers outlives the request. */
export interface UnderWay {
  /** When each request that is handled began, epoch ms, the oldest first. */
  readonly began: Set<{ readonly atMs: number }>
  readonly refused: OnceAMinuteMemory
}

export interface UnderWayParts {
  readonly clock: Clock
  readonly log?: Log
  readonly underWay: UnderWay & { readonly most: number }
}

export function newUnderWay(): UnderWay {
  return { began: new Set(), refused: new Map() }
}

declare module 'hono' {
  interface ContextVariableMap {
    /** Of a request that counts as under way. */
    place?: Place
  }
}

interface Place {
  leave(): void
  /** Whether there was one. */
  take(): boolean
}

/** Longer than an answer may take: such a request was ended by its platform. */
const placeLastsMs = 60_000

/**
 * To be before all that costs something.
 *
 * @param refuse the answer to what is over the bound: 503 with Retry-After
 */
export function boundUnderWay(
  partsOf: (c: Context) => UnderWayParts,
  refuse: (c: Context) => Response,
): MiddlewareHandler {
  return async (c, next) => {
    const { clock, log, underWay } = partsOf(c)
    const { began, most, refused } = underWay
    let taken: { readonly atMs: number } | undefined
    const place: Place = {
      take() {
        const nowMs = clock.now()
        for (const one of began) {
          // A clock that was set back ends nothing too early; one that was set forward, at most a minute's places.
          if (nowMs - one.atMs <= placeLastsMs) break
          began.delete(one)
        }
        if (began.size >= most) {
          const count = dueCount(refused, 'requests', clock)
          if (count !== undefined) log?.('overloaded', { count })
          return false
        }
        taken = { atMs: nowMs }
        began.add(taken)
        return true
      },
      leave() {
        if (taken !== undefined) began.delete(taken)
      },
    }
    if (!place.take()) {
      await c.req.raw.body?.cancel()
      return refuse(c)
    }
    c.set('place', place)
    try {
      await next()
    } finally {
      place.leave()
    }
    return undefined
  }
}

/** Reads a body without taking a place; `unavailable` where there is none any longer once it is there. */
export async function withoutPlace(c: Context, read: () => Promise<BodyRead>): Promise<BodyRead> {
  const place = c.get('place')
  place?.leave()
  const body = await read()
  return !body.ok || place === undefined || place.take() ? body : { ok: false, problem: 'unavailable' }
}
