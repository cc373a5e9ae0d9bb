/**
 * WebCrypto without threads, for the simulator: the platform's own ignores virtual time and completes in any order. The
 * same algorithms, from `node:crypto`, answer at once.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto'

interface Key {
  readonly bytes: Buffer
  readonly hash: string
}

const tagBytes = 16
const plain = (name: string) => name.toLowerCase().replace('-', '')
const exact = (buffer: Buffer) => Uint8Array.from(buffer).buffer

/** The values that had a hash, by its beginning. */
const hashed = new Map<string, Set<string>>()

/** Values are unique, so that each tells its event; to the relay two of one class are the same value. */
export function classOf(value: string): string {
  return value.replace(/^PII-value-\d+-\d+ /, '')
}

export function valuesHashedAs(hash: string): readonly string[] {
  return [...hashed].flatMap(([whole, values]) => (whole.startsWith(hash) ? [...values] : []))
}

export function forgetHashes(): void {
  hashed.clear()
}

const subtle = {
  digest: async (name: string, data: Uint8Array) => exact(createHash(plain(name)).update(data).digest()),
  importKey: async (
    _format: string,
    bytes: Uint8Array,
    algorithm: string | { hash?: string | { name: string } },
  ): Promise<Key> => {
    const hash = typeof algorithm === 'string' ? undefined : algorithm.hash
    return { bytes: Buffer.from(bytes), hash: plain(typeof hash === 'string' ? hash : (hash?.name ?? 'SHA-256')) }
  },
  sign: async (_algorithm: unknown, key: Key, data: Uint8Array) => {
    const text = Buffer.from(data).toString()
    const sign = (signed: string | Uint8Array) => createHmac(key.hash, key.bytes).update(signed).digest()
    if (!text.startsWith('["value",')) return exact(sign(data))
    const [kind, visitorHash, name, value] = JSON.parse(text) as string[]
    const signed = sign(JSON.stringify([kind, visitorHash, name, classOf(value ?? '')]))
    const hash = signed.toString('hex')
    hashed.set(hash, (hashed.get(hash) ?? new Set()).add(value ?? ''))
    return exact(signed)
  },
  verify: async (_algorithm: unknown, key: Key, signature: Uint8Array, data: Uint8Array) => {
    const own = createHmac(key.hash, key.bytes).update(data).digest()
    return own.byteLength === signature.byteLength && timingSafeEqual(own, signature)
  },
  encrypt: async (
    { iv, additionalData }: { iv: Uint8Array; additionalData?: Uint8Array },
    key: Key,
    data: Uint8Array,
  ) => {
    const cipher = createCipheriv('aes-256-gcm', key.bytes, iv)
    if (additionalData !== undefined) cipher.setAAD(additionalData)
    return exact(Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]))
  },
  decrypt: async (
    { iv, additionalData }: { iv: Uint8Array; additionalData?: Uint8Array },
    key: Key,
    data: Uint8Array,
  ) => {
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, iv)
    if (additionalData !== undefined) decipher.setAAD(additionalData)
    decipher.setAuthTag(data.subarray(data.byteLength - tagBytes))
    return exact(Buffer.concat([decipher.update(data.subarray(0, data.byteLength - tagBytes)), decipher.final()]))
  },
}

export function useSynchronousCrypto(): void {
  Object.defineProperty(crypto, 'subtle', { value: subtle, configurable: true })
}
