/** How a sender is authenticated: by its request's raw bytes, before anything is decoded. */
import { given } from '../../core/given.ts'
import type { Handshake, Yes } from './handshake.ts'
import type { Sending } from './sending.ts'

export type { Greeting } from './handshake.ts'

export interface AuthRequest {
  readonly method: string
  /** As received; a scheme that signs it may be given another (`url` of its options). */
  readonly url: string
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer>
  /** All are accepted, so that secrets can be rotated. */
  readonly secrets: readonly string[]
  /** Epoch ms. */
  readonly nowMs: number
}

/** Why a request is not authenticated, from the farthest off to the nearest; for the log, never for the sender. */
export const authFailures = ['header_missing', 'malformed', 'no_secret', 'stale', 'mismatch'] as const
export type AuthFailure = (typeof authFailures)[number]

/**
 * `true`: authenticated. `unavailable`: the keys cannot be fetched right now. Otherwise why it is not; `false` is a
 * `mismatch`.
 * `no_secret`: none of the secrets is one of this scheme, so nobody can be judged.
 */
export type Verdict = boolean | 'unavailable' | AuthFailure

/** A scheme of a deployer's own may return anything; what is not a failure's name is a `mismatch`. */
export function failureOf(verdict: unknown): AuthFailure {
  return authFailures.find((failure) => failure === verdict) ?? 'mismatch'
}

export interface AuthScheme {
  readonly name: string
  /** For `WWW-Authenticate` of a 401: what is asked for. Some senders send their password only after this. */
  readonly challenge?: string
  /** False where no secret is needed. */
  readonly needsSecret?: false
  /**
   * Without secrets, where they are needed, nobody is authenticated. On `unavailable` the sender is told to come back,
   * and so it is where this throws or rejects.
   */
  verify(request: AuthRequest): Promise<Verdict>
  /** Whether a text can be a secret of this scheme. */
  takesSecret?(secret: string): Promise<boolean>
  /** True where a copied request is refused after a while. Where it is not, the mapping must give the event's `id`. */
  readonly seesTime?: true
  /** True if the secret itself is in the request: whoever has a copy has the secret anyway. */
  readonly carriesSecret?: true
  /** The event's id in the scheme's own header, used if a mapping gives none. */
  eventId?(headers: Headers): string | undefined
  /**
   * The answer to an event by which a sender only asks whether the address is ours; undefined where it is no such
   * event. Asked of authenticated requests only, with the secret that authenticated them.
   */
  handshake?: Handshake
  /** The only status that its sender takes for success, where it repeats an event on any other. Default: any 2xx. */
  readonly yes?: Yes
  /** How its sender makes a request, where `target-relay sign` is to make one too. */
  readonly sending?: Sending
}

/** Whether a copied request of this scheme stays good for ever, for somebody who could not make one. */
export function takesCopies({ seesTime, carriesSecret }: Pick<AuthScheme, 'seesTime' | 'carriesSecret'>): boolean {
  return seesTime !== true && carriesSecret !== true
}

/**
 * Several schemes, any of which authenticates the sender: while it moves from one to the other. Each secret names its
 * scheme, so that none is ever tried as another's (a public key is no password): `HOOK_SECRET_CRM=hubspot:…,bearer:…`.
 *
 * @param schemes by the label that their secrets carry before a colon
 */
export function anyOf(name: string, schemes: Readonly<Record<string, AuthScheme>>): AuthScheme {
  const entries = Object.entries(schemes)
  const own = (label: string, secret: string) =>
    secret.startsWith(`${label}:`) ? secret.slice(label.length + 1) : undefined
  const of = (label: string, secrets: readonly string[]) => secrets.flatMap((secret) => own(label, secret) ?? [])
  return {
    ...eitherOf(
      name,
      entries.map(([label, scheme]) => ({
        ...scheme,
        verify: (request) => scheme.verify({ ...request, secrets: of(label, request.secrets) }),
        takesSecret: async (secret) => {
          const plain = own(label, secret)
          return plain !== undefined && ((await scheme.takesSecret?.(plain)) ?? true)
        },
      })),
    ),
    sending: { by: 'either', ways: entries.map(([label, { sending }]) => ({ label, sending })) },
    handshake: async (event, secret, headers) => {
      for (const [label, scheme] of entries) {
        const given = own(label, secret)
        if (given !== undefined) return scheme.handshake?.(event, given, headers)
      }
      return undefined
    },
  }
}

/** One field may hold several challenges (RFC 9110 §11.6.1). */
function challengeOf(schemes: readonly AuthScheme[]): string | undefined {
  const challenges = new Set(schemes.flatMap(({ challenge }) => challenge ?? []))
  return challenges.size === 0 ? undefined : [...challenges].join(', ')
}

/** Which of them authenticated the sender is not known here: most senders accept 200 with a body. */
function yesOf(schemes: readonly AuthScheme[]): Pick<AuthScheme, 'yes'> {
  const [first, ...others] = new Set(schemes.map(({ yes }) => yes))
  if (others.length === 0) return first === undefined ? {} : { yes: first }
  return { yes: 200 }
}

/** Schemes that share their secrets; only where none of them takes another's. */
export function eitherOf(name: string, schemes: readonly AuthScheme[]): AuthScheme {
  return {
    name,
    async verify(request) {
      const verdicts = await Promise.all(schemes.map((scheme) => scheme.verify(request)))
      if (verdicts.includes(true)) return true
      if (verdicts.includes('unavailable')) return 'unavailable'
      return authFailures.findLast((failure) => verdicts.includes(failure)) ?? false
    },
    takesSecret: async (secret) =>
      (await Promise.all(schemes.map(async (scheme) => scheme.takesSecret?.(secret) ?? true))).includes(true),
    ...given({ challenge: challengeOf(schemes) }),
    sending: { by: 'either', ways: schemes.map(({ sending }) => ({ sending })) },
    eventId: (headers) => schemes.map((scheme) => scheme.eventId?.(headers)).find((id) => id !== undefined),
    ...yesOf(schemes),
    ...(schemes.every(({ needsSecret }) => needsSecret === false) ? { needsSecret: false as const } : {}),
    ...(schemes.every(({ seesTime }) => seesTime === true)
      ? { seesTime: true as const }
      : // Some see the time, the others carry the secret.
        schemes.some(takesCopies)
        ? {}
        : { carriesSecret: true as const }),
  }
}
