/**
 * RSA signatures under a key that the request names by its address.
 *
 * Guarantee: a key is fetched from the hosts and paths that the description names and from nowhere else, whatever a
 * request says; keys are kept for an hour, a few of them, and a request that names new ones again and again makes few
 * fetches. Where a key can't be fetched nobody is refused: the sender is told to come back.
 * Known hole: such a sender signs for all of its customers under one key, so the description must also check whose
 * event it is (`belongs`).
 */

import { decodeBase64, encodeUtf8 } from './encodings.ts'
import { fetchKeyText, keysAddress } from './remote-keys.ts'
import type { AuthRequest, AuthScheme, Verdict } from './scheme.ts'
import { publicKeyIn } from './x509.ts'

export interface RsaDescriptor {
  readonly name: string
  /** SHA-256, PKCS #1 v1.5. Each signature, in base64, with the address of its key as the request names it. */
  readonly signatures: (request: AuthRequest) => readonly { readonly signature: string; readonly keyUrl: string }[]
  /** The only addresses that keys are fetched from. */
  readonly isKeyUrl: (url: URL) => boolean
  /** What is signed; undefined where the request lacks a part of it. */
  readonly signed: (request: AuthRequest) => string | Uint8Array<ArrayBuffer> | undefined
  /** Whether it is for this relay, since the sender's key signs for others too. */
  readonly belongs: (request: AuthRequest) => boolean
  /** The event's id in a header. */
  readonly eventId?: AuthScheme['eventId']
  readonly fetch?: typeof globalThis.fetch
}

const keptMs = 3_600_000
const maxKeys = 8
/** Fetches of addresses that are not known, in `keptMs` and all together, and soonest after one that failed. */
const maxFetches = 30
const triedAgainMs = 5_000
const maxSignatures = 4
const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }

export function rsa(descriptor: RsaDescriptor): AuthScheme {
  const keys = createKeys(descriptor)
  return {
    name: descriptor.name,
    needsSecret: false,
    sending: { by: 'private-key' },
    ...(descriptor.eventId === undefined ? {} : { eventId: descriptor.eventId }),
    verify: (request) => verify(descriptor, keys, request),
  }
}

type Keys = (url: string, nowMs: number) => Promise<CryptoKey | 'unavailable' | 'refused'>

async function verify(descriptor: RsaDescriptor, keyAt: Keys, request: AuthRequest): Promise<Verdict> {
  const given = descriptor.signatures(request)
  if (given.length === 0) return 'header_missing'
  if (given.length > maxSignatures) return 'malformed'
  const signed = descriptor.signed(request)
  if (signed === undefined) return 'malformed'
  const content = typeof signed === 'string' ? encodeUtf8(signed) : signed
  let unavailable = false
  for (const { signature, keyUrl } of given) {
    const bytes = decodeBase64(signature)
    if (bytes === undefined) continue
    const key = await keyAt(keyUrl, request.nowMs)
    if (key === 'unavailable') unavailable = true
    else if (key !== 'refused' && (await crypto.subtle.verify(algorithm, key, bytes, content)))
      return descriptor.belongs(request) || 'mismatch'
  }
  return unavailable ? 'unavailable' : 'mismatch'
}

function createKeys({ isKeyUrl, fetch }: Pick<RsaDescriptor, 'isKeyUrl' | 'fetch'>): Keys {
  const kept = new Map<string, { readonly key: CryptoKey | undefined; readonly untilMs: number }>()
  let [fetches, sinceMs] = [0, Number.NEGATIVE_INFINITY]
  return async (url, nowMs) => {
    if (!mayAsk(url)) return 'refused'
    const known = kept.get(url)
    if (known !== undefined && Math.abs(known.untilMs - nowMs) <= keptMs && nowMs < known.untilMs)
      return known.key ?? 'unavailable'
    if (Math.abs(nowMs - sinceMs) > keptMs) [fetches, sinceMs] = [0, nowMs]
    if (++fetches > maxFetches) return 'unavailable'
    const key = await importKey(await fetchKeyText(fetch ?? globalThis.fetch, url))
    const [oldest] = kept.keys()
    if (kept.size >= maxKeys && oldest !== undefined) kept.delete(oldest)
    kept.set(url, { key, untilMs: nowMs + (key === undefined ? triedAgainMs : keptMs) })
    return key ?? 'unavailable'
  }

  function mayAsk(url: string): boolean {
    try {
      const address = keysAddress(url)
      return address.username === '' && address.password === '' && isKeyUrl(address)
    } catch {
      return false
    }
  }
}

async function importKey(text: string | undefined): Promise<CryptoKey | undefined> {
  const der = text === undefined ? undefined : publicKeyIn(text)
  if (der === undefined) return undefined
  return crypto.subtle.importKey('spki', der, algorithm, false, ['verify']).catch(() => undefined)
}
