/**
 * The exact rolling window as an algorithm for `Ratelimit`, in the place of its `slidingWindow`, which estimates on two
 * fixed UTC windows (docs/adr/0002).
 */
import type { RatelimitConfig } from '@upstash/ratelimit'

type Algorithm = RatelimitConfig['limiter']
type Limiter = ReturnType<Algorithm>

/** What a reservation answers. */
export interface Reserved {
  readonly granted: number
  readonly total: number
  readonly retryAt?: number
}

export interface RollingWindowOptions {
  /** The lane's ceiling, units. */
  readonly ceiling: number
  /** Runs the reservation; the identifier names the grant. */
  readonly reserve: (grantKey: string, want: number) => Promise<Reserved>
}

/**
 * `limit(grant, { rate })` sets up to `rate` units aside under `grant`, for the admission that follows to take from.
 */
export function rollingWindow({ ceiling, reserve }: RollingWindowOptions): Algorithm {
  const answer = (granted: number, { total, retryAt }: Reserved): Awaited<ReturnType<Limiter['limit']>> => ({
    success: granted > 0,
    limit: ceiling,
    remaining: Math.max(0, ceiling - total),
    // Never 0, which the class would read as "no limit known".
    reset: retryAt ?? 1,
    pending: Promise.resolve(),
  })
  const limiter: Limiter = {
    limit: async (_context, grantKey, rate = 1) => {
      const reserved = await reserve(grantKey, rate)
      return answer(reserved.granted, reserved)
    },
    getRemaining: async (_context, grantKey) => {
      const { remaining, reset, limit } = answer(0, await reserve(grantKey, 0))
      return { remaining, reset, limit }
    },
    resetTokens: () => Promise.reject(new Error('units are given back by a settlement, never reset')),
  }
  return () => limiter
}
