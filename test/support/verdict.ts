import type { Verdict } from '../../src/edge/auth/scheme.ts'

/** A verdict without its reason: `false` for every kind of rejection. */
export function plain(verdict: Verdict): boolean | 'unavailable' {
  return typeof verdict === 'string' && verdict !== 'unavailable' ? false : verdict
}
