/**
 * A JSON Web Token, as bearer or in a header of its own: under keys that its issuer publishes, or under a shared secret.
 * It authenticates the sender; the body too, where a claim holds its hash (`body`).
 *
 * Guarantee: only algorithms of the list, asymmetric ones for published keys and HS256 for secrets, so that no public
 * key is ever taken for a secret. A token must have an end (`exp`, or `iat` with `maxAgeSeconds`); a bearer also an
 * issuer and an audience that fit. Keys are fetched from the one address given, never from one that a token names.
 * Where they can't be fetched, nobody is refused: the sender is told to come back.
 */
import { verify, verifyWithJwks } from 'hono/jwt'
import { given } from '../../core/given.ts'
import { decodeBase64, decodeBase64url, decodeHex } from './encodings.ts'
import { fetchKeySet, type KeysFor, keptKeys } from './jwks.ts'
import { keysAddress } from './remote-keys.ts'
import type { AuthRequest, AuthScheme, Verdict } from './scheme.ts'
import type { TokenShape } from './sending.ts'
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

/** Issuer and audience may be left out where `body` binds the token to its request. */
export interface JwtOptions extends TokenShape {
  /**
   * Who signs: the address where the issuer publishes its keys (https, or http on loopback); or a function that asks
   * for the key of an id; or the source's own secrets, by HS256.
   */
  readonly jwksUrl?: string
  readonly keyOf?: (kid: string) => Promise<JsonWebKey | undefined>
  readonly secret?: true
  /** Of published keys. Default RS256 and ES256. */
  readonly algorithms?: readonly JwtAlgorithm[]
  /** How old a token may be by its `iat`, for issuers that give no `exp`. */
  readonly maxAgeSeconds?: number
  readonly fetch?: typeof globalThis.fetch
}

/** Clocks differ. */
const leewaySeconds = 30
const tokenForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/** @throws TypeError where nothing says who signs or for whom, or `jwksUrl` is invalid */
export function jwt(options: JwtOptions): AuthScheme {
  const { issuer, audience, header = 'authorization', jwksUrl, keyOf, secret, body, fetch } = options
  // An empty one would not be checked.
  if (body === undefined && (!issuer || !audience)) throw new TypeError('jwt needs an issuer and an audience')
  if ([jwksUrl, keyOf, secret].filter((one) => one !== undefined).length !== 1)
    throw new TypeError('jwt needs one of jwksUrl, keyOf and secret')
  if (jwksUrl !== undefined) keysAddress(jwksUrl)
  const keysFor =
    secret === true
      ? undefined
      : keptKeys(async (kid) => {
          if (keyOf === undefined) return fetchKeySet(fetch ?? globalThis.fetch, jwksUrl ?? '')
          const key = await keyOf(kid)
          return key === undefined ? undefined : [{ ...key, kid }]
        })
  const isBearer = header.toLowerCase() === 'authorization'
  return {
    name: 'jwt',
    sending: secret === true ? { by: 'token', token: options } : { by: 'private-key' },
    ...given({ challenge: isBearer ? bearerChallenge : undefined }),
    ...(secret === true ? {} : { needsSecret: false as const }),
    // A token without an end, or past it, is refused below.
    seesTime: true,
    async verify(request) {
      const text = request.headers.get(header) ?? ''
      if (text === '') return 'header_missing'
      const token = isBearer ? /^Bearer +(.+)$/i.exec(text)?.[1] : text
      if (token === undefined || !tokenForm.test(token)) return 'malformed'
      const claims = await claimsOf(token, options, keysFor, request)
      return typeof claims === 'string' ? claims : judge(claims, options, request)
    },
  }
}

type Claims = Readonly<Record<string, unknown>>

/** The claims of a token whose signature, issuer and audience fit; otherwise the verdict. */
async function claimsOf(
  token: string,
  { issuer, audience, algorithms = ['RS256', 'ES256'] }: JwtOptions,
  keysFor: KeysFor | undefined,
  { secrets, nowMs }: AuthRequest,
): Promise<Claims | Exclude<Verdict, boolean>> {
  // Times are checked by the relay's own clock.
  const verification = { ...given({ iss: issuer, aud: audience }), exp: false, nbf: false, iat: false }
  if (keysFor === undefined) {
    for (const secret of secrets)
      try {
        return (await verify(token, secret, { alg: 'HS256', ...verification })) as Claims
      } catch {
        // Another secret may fit.
      }
    return 'mismatch'
  }
  const kid = kidOf(token)
  if (kid === undefined) return 'malformed'
  const keys = await keysFor(kid, nowMs)
  if (keys === undefined) return 'unavailable'
  try {
    const options = { keys: [...keys] as never, allowedAlgorithms: [...algorithms] as never, verification }
    return (await verifyWithJwks(token, options)) as Claims
  } catch {
    return 'mismatch'
  }
}

async function judge(
  { exp, nbf, iat, sub, ...claims }: Claims,
  { subject, body, maxAgeSeconds }: JwtOptions,
  request: AuthRequest,
): Promise<Verdict> {
  const seconds = request.nowMs / 1_000
  if (maxAgeSeconds === undefined || exp !== undefined) {
    if (typeof exp !== 'number') return 'malformed'
    if (exp + leewaySeconds < seconds) return 'stale'
  }
  if (maxAgeSeconds !== undefined) {
    if (typeof iat !== 'number') return 'malformed'
    if (seconds - iat > maxAgeSeconds || iat - seconds > leewaySeconds) return 'stale'
  }
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf - leewaySeconds > seconds)) return 'stale'
  if (subject !== undefined && sub !== subject) return 'mismatch'
  return body === undefined || (await isHashOf(request.body, claims[body.claim], body.encoding)) || 'mismatch'
}

async function isHashOf(
  bytes: Uint8Array<ArrayBuffer>,
  claim: unknown,
  encoding: 'hex' | 'base64' | 'base64url',
): Promise<boolean> {
  if (typeof claim !== 'string') return false
  const decode = { hex: decodeHex, base64: decodeBase64, base64url: unpadded }[encoding]
  const [said, is] = [decode(claim), new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))]
  return said?.byteLength === is.byteLength && said.every((byte, index) => byte === is[index])
}

/** Some write the padding that base64url leaves out. */
function unpadded(text: string): Uint8Array<ArrayBuffer> | undefined {
  return decodeBase64url(text.replace(/={1,2}$/, ''))
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
