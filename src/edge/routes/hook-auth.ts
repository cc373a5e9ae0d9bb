/** Whether a webhook is its sender's: judged by its source's scheme, on the raw bytes. */
import type { Context } from 'hono'
import { errorName } from '../../core/errors.ts'
import { given } from '../../core/given.ts'
import { type AuthRequest, failureOf, type Greeting, type Verdict } from '../auth/scheme.ts'
import { isEncoded, unfold } from '../http/content-encoding.ts'
import { problem } from '../http/problem.ts'
import type { Source } from '../source/types.ts'
import type { AppParts } from './parts.ts'

/** A request whose sender is known. */
export interface Authenticated {
  readonly request: AuthRequest
  /** The body that was signed: as it came, or as it was before it was compressed. */
  readonly unfolded?: Uint8Array<ArrayBuffer>
}

/** The request once its sender is authenticated, otherwise the answer to it. */
export async function authenticate(
  c: Context,
  parts: Pick<AppParts, 'log' | 'authFailed' | 'room'>,
  source: Source,
  request: AuthRequest,
): Promise<Authenticated | Response> {
  const { room } = parts
  let verdict = await verify(parts, source, request)
  // A scheme of a deployer's own may return anything: only `true` authenticates.
  if (verdict === true) return { request }
  const encoding = request.headers.get('content-encoding')
  if (verdict !== 'unavailable' && verdict !== 'no_secret' && isEncoded(encoding)) {
    // Some senders sign the compressed body, some the body before compression.
    const before = await unfold(request.body, encoding, source.maxBodyBytes, room)
    if (!before.ok && before.why === 'no_room') return problem(c, 'unavailable')
    if (before.ok) verdict = await verify(parts, source, { ...request, body: before.bytes })
    if (before.ok && verdict === true) return { request: { ...request, body: before.bytes }, unfolded: before.bytes }
  }
  if (verdict !== 'unavailable') parts.authFailed?.(source.name, failureOf(verdict))
  // A scheme that cannot judge refuses nobody.
  return verdict === 'unavailable' || verdict === 'no_secret'
    ? problem(c, 'unavailable', { detail: 'Whether it is the sender cannot be told right now.' })
    : problem(c, 'unauthenticated', {}, given({ 'www-authenticate': source.auth.challenge }))
}

/** A scheme that throws cannot judge, and then refuses nobody: the sender is told to come back. */
async function verify({ log }: Pick<AppParts, 'log'>, { name, auth }: Source, request: AuthRequest): Promise<Verdict> {
  try {
    return auth.needsSecret !== false && request.secrets.length === 0 ? 'no_secret' : await auth.verify(request)
  } catch (error) {
    log?.('verify_failed', { source: name, error: errorName(error) })
    return 'unavailable'
  }
}

/** The answer of a scheme to its sender's handshake, under the secret that authenticates it; undefined if it is none. */
export async function shakeHands(
  parts: Pick<AppParts, 'log'>,
  source: Source,
  event: unknown,
  request: AuthRequest,
): Promise<Greeting | undefined> {
  const { auth } = source
  for (const secret of request.secrets) {
    // Handshakes are rare, so which secret matched is worked out only for them.
    try {
      const greeting = await auth.handshake?.(event, secret, request.headers)
      if (greeting !== undefined && (await auth.verify({ ...request, secrets: [secret] })) === true) return greeting
    } catch (error) {
      // Then it is handled as an event: its mapping decides.
      parts.log?.('handshake_failed', { source: source.name, error: errorName(error) })
    }
  }
  return undefined
}
