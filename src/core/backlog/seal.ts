/**
 * Encryption at rest: AES-256-GCM under a ring of keys (`BACKLOG_KEYS`). The first key of the ring encrypts, all decrypt,
 * so that a key is rotated by putting a new one in front and removing the old one a retention later.
 *
 * Guarantee: what is sealed under one key of the store can't be read, changed, or moved under another without a key of
 * the ring. What was written before there were keys stays readable (docs/storage.md).
 * Known hole: who can write to the store can delete what is in it, or put plain entries there (SECURITY.md).
 */

export interface RingKey {
  /** Names the key in what it encrypted; no secret. */
  readonly id: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** How packed entries and dead letters are written down, and read again: sealed, and under the mark of their account. */
export interface Seal {
  seal(packed: object, key: string): Promise<object>
  /**
   * Undefined where it was sealed and can't be opened (a key that is not in the ring, content that was changed), or bears
   * the mark of another account.
   */
  open(stored: unknown, key: string): Promise<unknown>
  /**
   * Which keys of the ring seal what is stored, and the same sealed anew: itself, or what stands in a field of it.
   *
   * @param stored under `key`, of this account
   */
  reseal(stored: unknown, key: string): Promise<Resealed>
  /** The key that seals; undefined where nothing is sealed. */
  readonly first: string | undefined
}

export interface Resealed {
  /** Names of keys, also of such that are not in the ring; none where it is plain. */
  readonly by: readonly string[]
  /** Present where another key than the first sealed it, and all of it could be opened. */
  readonly anew?: unknown
}

/** AES-256. */
export const keyBytes = 32
/** 96 random bits for each seal, as NIST SP 800-38D §8.2.2 has it; far fewer than 2^32 seals under one key. */
const ivBytes = 12

interface Sealed {
  readonly v: 2
  readonly k: string
  readonly c: string
}

/**
 * @param ring the first encrypts; without any nothing is sealed
 * @param mark of the account (`operator/owner.ts`); what older versions wrote bears none, and is read
 * @param marksBefore of the accounts that it took over, read each time
 */
export async function createSeal(
  ring: readonly RingKey[],
  randomBytes: (bytes: number) => Uint8Array<ArrayBuffer>,
  mark?: string,
  marksBefore: ReadonlySet<unknown> = new Set(),
): Promise<Seal> {
  const keys = new Map<string, CryptoKey>()
  for (const { id, bytes } of ring)
    keys.set(id, await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']))
  const [first] = ring
  const utf8 = new TextEncoder()
  const algorithm = (iv: Uint8Array<ArrayBuffer>, storeKey: string) => ({
    name: 'AES-GCM',
    iv,
    additionalData: utf8.encode(storeKey),
  })

  return {
    async seal(content, storeKey) {
      return sealed(mark === undefined ? content : { ...content, m: mark }, storeKey)
    },
    open: own,
    async reseal(stored, storeKey) {
      const by = new Set<string>()
      let [isOld, isWhole] = [false, true]
      const renewed = async (part: unknown): Promise<unknown> => {
        if (!isSealed(part)) return part
        by.add(part.k)
        if (part.k === first?.id) return part
        const content = await own(part, storeKey)
        isOld = true
        if (typeof content !== 'object' || content === null) isWhole = false
        return isWhole ? { ...part, ...(await sealed(content as object, storeKey)) } : part
      }
      const anew = isSealed(stored) ? await renewed(stored) : await eachField(stored, renewed)
      return { by: [...by], ...(isOld && isWhole && first !== undefined ? { anew } : {}) }
    },
    first: first?.id,
  }

  async function own(stored: unknown, storeKey: string): Promise<unknown> {
    const content = await opened(stored, storeKey)
    const theirs = marked(content) ?? mark
    return mark === undefined || theirs === mark || marksBefore.has(theirs) ? content : undefined
  }

  async function sealed(packed: object, storeKey: string): Promise<object> {
    const key = keys.get(first?.id ?? '')
    if (first === undefined || key === undefined) return packed
    const iv = randomBytes(ivBytes)
    const text = utf8.encode(JSON.stringify(packed))
    const bytes = new Uint8Array(await crypto.subtle.encrypt(algorithm(iv, storeKey), key, text))
    return { v: 2, k: first.id, c: toBase64(iv) + toBase64(bytes) } satisfies Sealed
  }

  async function opened(stored: unknown, storeKey: string): Promise<unknown> {
    if (!isSealed(stored)) return stored
    const key = keys.get(stored.k)
    if (key === undefined) return undefined
    try {
      const bytes = fromBase64(stored.c)
      const text = await crypto.subtle.decrypt(algorithm(bytes.slice(0, ivBytes), storeKey), key, bytes.slice(ivBytes))
      return JSON.parse(new TextDecoder().decode(text))
    } catch {
      return undefined
    }
  }
}

/** A head may hold a sealed text in a field; deeper there is none. */
async function eachField(stored: unknown, work: (part: unknown) => Promise<unknown>): Promise<unknown> {
  if (typeof stored !== 'object' || stored === null || Array.isArray(stored)) return stored
  const fields: [string, unknown][] = []
  for (const [name, part] of Object.entries(stored)) fields.push([name, await work(part)])
  return Object.fromEntries(fields)
}

/** The mark that a packed entry bears, whatever it is. */
function marked(content: unknown): unknown {
  return typeof content === 'object' && content !== null && 'm' in content ? content.m : undefined
}

function isSealed(stored: unknown): stored is Sealed {
  return (
    typeof stored === 'object' && stored !== null && 'v' in stored && stored.v === 2 && 'k' in stored && 'c' in stored
  )
}

/** Bytes that are encoded at a time: whole groups of three, and few enough to be the arguments of one call. */
const encodedTogether = 24_576

/** A part at a time: an array of a character for each byte takes a hundred times the memory of a large letter. */
export function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let start = 0; start < bytes.length; start += encodedTogether)
    // `apply` takes the array as it is; to spread it would iterate over it, four times as slow.
    text += btoa(String.fromCharCode.apply(null, bytes.subarray(start, start + encodedTogether) as unknown as number[]))
  return text
}

/** @throws where it is not base64 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const decoded = atob(text)
  const bytes = new Uint8Array(decoded.length)
  for (let index = 0; index < decoded.length; index++) bytes[index] = decoded.charCodeAt(index)
  return bytes
}
