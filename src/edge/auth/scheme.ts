/** Proof of the sender, on the raw bytes, before anything is decoded. */

export interface Unproven {
  readonly method: string
  /** As it came in; a scheme that signs it may be told another (`url` of its options). */
  readonly url: string
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer>
  /** All are accepted, so that secrets can be rotated. */
  readonly secrets: readonly string[]
  /** Epoch ms. */
  readonly nowMs: number
}

export interface AuthScheme {
  readonly name: string
  /** False where no secret is needed. */
  readonly needsSecret?: false
  /**
   * Without secrets, where they are needed, nobody is proven. `unavailable`: it can't be told right now, and the sender is
   * told to come back; so it is where this throws or rejects, with whatever.
   */
  verify(request: Unproven): Promise<boolean | 'unavailable'>
  /** Whether a text can be a secret of this scheme at all. */
  takesSecret?(secret: string): Promise<boolean>
  /** True where a copied request is refused after a while. Where it is not, the mapping must give the event's `id`. */
  readonly seesTime?: true
  /** True where the secret itself travels in the request: who has a copy has the secret, and need not copy. */
  readonly carriesSecret?: true
  /** The event's id as the scheme itself carries it, where a mapping gives none. */
  eventId?(headers: Headers): string | undefined
  /**
   * The answer to an event by which a sender only asks whether the address is ours; undefined where it is no such event.
   * Asked of proven requests only, with the secret that proved them.
   */
  handshake?(event: unknown, secret: string): Promise<object | undefined>
}

/** Whether a copied request of this scheme is good for ever, in the hands of somebody who could make none. */
export function takesCopies({ seesTime, carriesSecret }: Pick<AuthScheme, 'seesTime' | 'carriesSecret'>): boolean {
  return seesTime !== true && carriesSecret !== true
}

/**
 * Several schemes, any of which proves the sender: while it moves from one to the other. Each secret names its scheme, so
 * that none is ever tried as another's (a public key is no password): `HOOK_SECRET_CRM=hubspot:…,bearer:…`.
 *
 * @param schemes by the label that their secrets carry before a colon
 */
export function anyOf(name: string, schemes: Readonly<Record<string, AuthScheme>>): AuthScheme {
  const entries = Object.entries(schemes)
  const own = (label: string, secret: string) => (secret.startsWith(`${label}:`) ? secret.slice(label.length + 1) : undefined)
  const of = (label: string, secrets: readonly string[]) => secrets.flatMap((secret) => own(label, secret) ?? [])
  return {
    ...eitherOf(
      name,
      entries.map(([label, scheme]) => ({
        ...scheme,
        verify: (request) => scheme.verify({ ...request, secrets: of(label, request.secrets) }),
        takesSecret: async (secret) => {
          const given = own(label, secret)
          return given !== undefined && ((await scheme.takesSecret?.(given)) ?? true)
        },
      })),
    ),
    handshake: async (event, secret) => {
      for (const [label, scheme] of entries) {
        const given = own(label, secret)
        if (given !== undefined) return scheme.handshake?.(event, given)
      }
      return undefined
    },
  }
}

/** Schemes that share their secrets; only where none of them takes another's. */
export function eitherOf(name: string, schemes: readonly AuthScheme[]): AuthScheme {
  return {
    name,
    async verify(request) {
      const verdicts = await Promise.all(schemes.map((scheme) => scheme.verify(request)))
      return verdicts.includes(true) || (verdicts.includes('unavailable') ? 'unavailable' : false)
    },
    takesSecret: async (secret) => (await Promise.all(schemes.map(async (scheme) => scheme.takesSecret?.(secret) ?? true))).includes(true),
    eventId: (headers) => schemes.map((scheme) => scheme.eventId?.(headers)).find((id) => id !== undefined),
    ...(schemes.every(({ needsSecret }) => needsSecret === false) ? { needsSecret: false as const } : {}),
    ...(schemes.every(({ seesTime }) => seesTime === true)
      ? { seesTime: true as const }
      : // Of some the one, of the others the other.
        schemes.some(takesCopies)
        ? {}
        : { carriesSecret: true as const }),
  }
}
