/**
 * The public keys of an issuer of tokens, by the id that a token names.
 *
 * Guarantee: keys are asked for at most every `askedAgainMs`, whatever ids tokens name, and kept for ten minutes. A key
 * that is not known when it may not be asked for is no refusal: it may be a new one.
 * Known hole: a key that its issuer revoked is good until it is fetched anew, up to an hour where the address is down.
 */
import { fetchKeyText } from './remote-keys.ts'

export type Key = JsonWebKey & { kid?: string }

/** Keys are fetched again after this long; if that fails the old ones stay in use, but not for ever. */
const freshMs = 10 * 60_000
const usableMs = 60 * 60_000
/** A token with an unknown key makes them be fetched again, but never more often than this; sooner after a failure. */
const askedAgainMs = 30_000
const triedAgainMs = 5_000

/** @returns undefined if they can't be fetched, or if the key is unknown and it is too early to fetch again */
export type KeysFor = (kid: string, nowMs: number) => Promise<readonly Key[] | undefined>

/** @param load asks for the keys, or at least for the one of this id; undefined where it gets no answer */
export function keptKeys(load: (kid: string) => Promise<readonly Key[] | undefined>): KeysFor {
  let kept: { readonly keys: readonly Key[]; readonly atMs: number } | undefined
  let askedAtMs = Number.NEGATIVE_INFINITY
  return async (kid, nowMs) => {
    const isKnown = () => kept?.keys.some((key) => key.kid === kid) === true
    const mayAsk = nowMs - askedAtMs > askedAgainMs
    if (mayAsk && (!isKnown() || nowMs - (kept?.atMs ?? 0) > freshMs)) {
      askedAtMs = nowMs
      const keys = await load(kid)
      if (keys === undefined) askedAtMs = nowMs - askedAgainMs + triedAgainMs
      else kept = { keys, atMs: nowMs }
    } else if (!isKnown()) return undefined
    return kept !== undefined && nowMs - kept.atMs <= usableMs ? kept.keys : undefined
  }
}

/** A key set (RFC 7517) at an address; undefined if it can't be fetched. */
export async function fetchKeySet(fetch: typeof globalThis.fetch, url: string): Promise<readonly Key[] | undefined> {
  try {
    const { keys } = JSON.parse((await fetchKeyText(fetch, url)) ?? '') as { keys?: unknown }
    return Array.isArray(keys) ? keys.filter((key): key is Key => typeof key === 'object' && key !== null) : undefined
  } catch {
    return undefined
  }
}
