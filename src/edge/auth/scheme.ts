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
  /** Never rejects. Without secrets nobody is proven. */
  verify(request: Unproven): Promise<boolean>
  /** The event's id as the scheme itself carries it, where a mapping gives none. */
  eventId?(headers: Headers): string | undefined
  /**
   * The answer to an event by which a sender only asks whether the address is ours; undefined where it is no such event.
   * Asked of proven requests only.
   */
  handshake?(event: unknown, secrets: readonly string[]): Promise<object | undefined>
}

/** Several schemes, any of which proves the sender. */
export function anyOf(name: string, schemes: readonly AuthScheme[]): AuthScheme {
  return {
    name,
    async verify(request) {
      const verdicts = await Promise.all(schemes.map((scheme) => scheme.verify(request)))
      return verdicts.includes(true)
    },
    eventId: (headers) => schemes.map((scheme) => scheme.eventId?.(headers)).find((id) => id !== undefined),
  }
}
