/**
 * Names for visitors and events that reveal nothing (G8): HMAC-SHA-256 under `HASH_KEY`, so that customer numbers
 * cannot be guessed from a key. The same in every runtime, through WebCrypto.
 */
import { encodeHex } from '../hex.ts'
import type { Visitor } from './update.ts'

/** 128 bits: no two visitors of one company share a hash. */
const hashBytes = 16
/** Hex, 64 bits: it is compared with one other value only. */
const valueHashChars = 16

export interface Hasher {
  visitor(visitor: Visitor): Promise<string>
  /**
   * `event` is the sender's event id, scoped to its source; `content` what came under it, where that makes it another
   * event.
   */
  event(source: string, event: string, content?: readonly string[]): Promise<string>
  /** A slice of an event, by the names of its attributes in any order. `event` is the event's own hash. */
  part(event: string, names: readonly string[]): Promise<string>
  /** Names an update that has no id, by its content. */
  content(parts: readonly string[]): Promise<string>
  /** Tells whether an attribute of a visitor has the value that it had, and nothing else. */
  value(visitorHash: string, name: string, value: string): Promise<string>
  /** What only this relay can have written: a form of its console carries it. */
  form(parts: readonly string[]): Promise<string>
}

/** @param key `HASH_KEY`, 32 bytes or more; a store refuses a different one (`operator/owner.ts`) */
export async function createHasher(key: string): Promise<Hasher> {
  const utf8 = new TextEncoder()
  const hmac = await crypto.subtle.importKey('raw', utf8.encode(key), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ])
  // JSON keeps the parts apart: no choice of ids can make two lists alike.
  const hash = async (kind: string, parts: readonly string[]) => {
    const signed = await crypto.subtle.sign('HMAC', hmac, utf8.encode(JSON.stringify([kind, ...parts])))
    return encodeHex(new Uint8Array(signed, 0, hashBytes))
  }
  return {
    visitor: (visitor) =>
      'pcId' in visitor ? hash('pcId', [visitor.pcId]) : hash('thirdPartyId', [visitor.thirdPartyId]),
    event: (source, event, content = []) => hash('event', [source, event, ...content]),
    part: (event, names) => hash('part', [event, ...[...names].sort()]),
    content: (parts) => hash('content', parts),
    value: async (...parts) => (await hash('value', parts)).slice(0, valueHashChars),
    form: (parts) => hash('form', parts),
  }
}

/** Names the key itself, and reveals nothing of it. */
export function hashKeyName(hasher: Pick<Hasher, 'content'>): Promise<string> {
  return hasher.content(['the name of the hash key'])
}
