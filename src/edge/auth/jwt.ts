/**
 * A JSON Web Token as bearer, under keys that its issuer publishes (JWKS). It authenticates the sender, not the body.
 *
 * Guarantee: only algorithms of the list, only asymmetric ones; issuer, audience and expiry must be there and fit. Keys
 * are fetched from the one address given, never from one that a token names, and kept for ten minutes. Where they can't
 * be fetched, nobody is refused: the sender is told to come back.
 * Known hole: a key that its issuer revoked is good until it is fetched anew, up to an hour where the address is down.
 */
import { verifyWithJwks } from 'hono/jwt'
import type { AuthScheme } from './scheme.ts'
import { bearerChallenge } from './tokens.ts'

export type JwtAlgorithm =
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA'

export interface JwtOptions {
  readonly issuer: string
  readonly audience: string
  /** Where the issuer publishes its keys: https, or http on loopback. */
  readonly jwksUrl: string
  /** Default RS256 and ES256. */
  readonly algorithms?: readonly JwtAlgorithm[]
  /** The only subject accepted, where the issuer signs for many. */
  readonly subject?: string
  readonly fetch?: typeof globalThis.fetch
}

type Key = JsonWebKey & { kid?: string }

/** Keys are fetched again after this long; if that fails the old ones stay in use, but not for ever. */
const freshMs = 10 * 60_000
const usableMs = 60 * 60_000
/** A token with an unknown key makes them be fetched again, but never more often than this; sooner after a failure. */
const askedAgainMs = 30_000
const triedAgainMs = 5_000
const timeoutMs = 3_000
const maxJwksBytes = 262_144
/** Clocks differ. */
const leewaySeconds = 30

/** @throws TypeError if `jwksUrl` is invalid, or issuer or audience are empty */
export function jwt({
  issuer,
  audience,
  jwksUrl,
  algorithms = ['RS256', 'ES256'],
  subject,
  fetch,
}: JwtOptions): AuthScheme {
  // An empty one would not be checked.
  if (!issuer || !audience) throw new TypeError('jwt needs an issuer and an audience')
  const address = new URL(jwksUrl)
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(address.hostname)
  if (address.protocol !== 'https:' && !(address.protocol === 'http:' && loopback))
    throw new TypeError('jwksUrl must be https:// (http:// for loopback only)')
  let kept: { readonly keys: readonly Key[]; readonly atMs: number } | undefined
  let askedAtMs = Number.NEGATIVE_INFINITY

  /**
   * Undefined if they can't be fetched, or if the key is unknown and it is too early to fetch again: it may be a new
   * one.
   */
  async function keysFor(kid: string, nowMs: number): Promise<readonly Key[] | undefined> {
    const isKnown = () => kept?.keys.some((key) => key.kid === kid) === true
    const mayAsk = nowMs - askedAtMs > askedAgainMs
    if (mayAsk && (!isKnown() || nowMs - (kept?.atMs ?? 0) > freshMs)) {
      askedAtMs = nowMs
      const keys = await fetchKeys(fetch ?? globalThis.fetch, jwksUrl)
      if (keys === undefined) askedAtMs = nowMs - askedAgainMs + triedAgainMs
      else kept = { keys, atMs: nowMs }
    } else if (!isKnown()) return undefined
    return kept !== undefined && nowMs - kept.atMs <= usableMs ? kept.keys : undefined
  }

  return {
    name: 'jwt',
    challenge: bearerChallenge,
    needsSecret: false,
    // A token without an expiry, or past it, is refused below.
    seesTime: true,
    async verify({ headers, nowMs }) {
      const header = headers.get('authorization') ?? ''
      if (header === '') return 'header_missing'
      const token = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i.exec(header)?.[1]
      const kid = token === undefined ? undefined : kidOf(token)
      if (token === undefined || kid === undefined) return 'malformed'
      const keys = await keysFor(kid, nowMs)
      if (keys === undefined) return 'unavailable'
      try {
        const claims = await verifyWithJwks(token, {
          keys: [...keys] as never,
          allowedAlgorithms: [...algorithms] as never,
          // Checked below, by the relay's own clock.
          verification: { iss: issuer, aud: audience, exp: false, nbf: false, iat: false },
        })
        const seconds = nowMs / 1_000
        const { exp, nbf, sub } = claims as { exp?: unknown; nbf?: unknown; sub?: unknown }
        if (typeof exp !== 'number' || exp + leewaySeconds < seconds)
          return typeof exp === 'number' ? 'stale' : 'malformed'
        if (nbf !== undefined && (typeof nbf !== 'number' || nbf - leewaySeconds > seconds)) return 'stale'
        return subject === undefined || sub === subject || 'mismatch'
      } catch {
        return 'mismatch'
      }
    },
  }
}

function kidOf(token: string): string | undefined {
  try {
    const text = atob((token.split('.')[0] ?? '').replaceAll('-', '+').replaceAll('_', '/'))
    const { kid } = JSON.parse(text) as { kid?: unknown }
    return typeof kid === 'string' ? kid : undefined
  } catch {
    return undefined
  }
}

/** Undefined if they can't be fetched. */
async function fetchKeys(fetch: typeof globalThis.fetch, url: string): Promise<readonly Key[] | undefined> {
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = await response.text()
    if (response.status !== 200 || text.length > maxJwksBytes) return undefined
    const { keys } = JSON.parse(text) as { keys?: unknown }
    return Array.isArray(keys) ? keys.filter((key): key is Key => typeof key === 'object' && key !== null) : undefined
  } catch {
    return undefined
  }
}
