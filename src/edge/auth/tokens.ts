/** Proof of the sender, on the raw bytes, before anything is decoded. */

export interface Unproven {
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer>
  /** All are accepted, so that secrets can be rotated. */
  readonly secrets: readonly string[]
  /** Epoch ms. */
  readonly nowMs: number
}

export interface AuthScheme {
  readonly name: string
  verify(request: Unproven): Promise<boolean>
  /** The event's id as the scheme itself carries it, where a mapping gives none. */
  eventId?(headers: Headers): string | undefined
}

/** `Authorization: Bearer <secret>`. It proves the sender, not the body, and a copied request can be sent again. */
export function bearer(): AuthScheme {
  return { name: 'bearer', verify: ({ headers, secrets }) => verifyBearer(headers.get('authorization'), secrets) }
}

/** Whether an Authorization header carries one of the tokens; in constant time. */
export async function verifyBearer(header: string | null, tokens: readonly string[]): Promise<boolean> {
  const token = /^Bearer +([^\s]+)$/i.exec(header ?? '')?.[1]
  return token !== undefined && isOneOf(token, tokens)
}

/** Compares with every secret, so that time tells neither which one fits nor how much of it. */
export async function isOneOf(given: string, secrets: readonly string[]): Promise<boolean> {
  const digest = await sha256(given)
  let found = 0
  for (const secret of secrets) {
    const other = await sha256(secret)
    let different = 0
    for (let index = 0; index < digest.length; index++) different |= (digest[index] ?? 0) ^ (other[index] ?? 0)
    found |= different === 0 ? 1 : 0
  }
  return found === 1
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
}
