/**
 * What Target holds of a visitor, by its profile fetch.
 *
 * Guarantee: one GET within the time-out, whose answer is read up to a bound; it never rejects. It changes nothing, so
 * it asks the quota of updates for nothing: Target counts reads apart.
 * Known hole: what it shows may be as old as Target's own delay, up to a day.
 */
import type { Clock } from '../clock.ts'
import { given } from '../given.ts'
import type { Visitor } from '../update/update.ts'
import { readStart } from './read-start.ts'

export interface HeldAttribute {
  /** Without `profile.`. */
  readonly name: string
  readonly value: string
  /** As Target writes it: ISO 8601. */
  readonly modifiedAt?: string
}

export type HeldProfile =
  | { readonly kind: 'found'; readonly attributes: readonly HeldAttribute[] }
  /** Target knows no such profile. */
  | { readonly kind: 'unknown' }
  /** It does not take the token. */
  | { readonly kind: 'denied' }
  /** No answer in time, another status, or something that is no profile. */
  | { readonly kind: 'failed'; readonly status?: number }

export interface ProfileParts {
  readonly origin: string
  readonly clientCode: string
  readonly token?: string
  readonly timeoutMs: number
  readonly fetch: typeof globalThis.fetch
  readonly clock: Pick<Clock, 'after'>
}

export type FetchProfile = (visitor: Visitor) => Promise<HeldProfile>

/** A profile has at most some hundred attributes of a few hundred bytes. */
const maxProfileBytes = 1_000_000

export function createFetchProfile(parts: ProfileParts): FetchProfile {
  const { origin, clientCode, token, timeoutMs, fetch, clock } = parts
  return async (visitor) => {
    const id =
      'pcId' in visitor ? encodeURIComponent(visitor.pcId) : `thirdPartyId/${encodeURIComponent(visitor.thirdPartyId)}`
    const timeout = new AbortController()
    const timer = clock.after(timeoutMs)
    void timer.elapsed.then(() => timeout.abort())
    try {
      const response = await fetch(`${origin}/rest/v1/profiles/${id}?client=${encodeURIComponent(clientCode)}`, {
        headers: { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        redirect: 'manual',
        signal: timeout.signal,
      })
      const body = await readStart(response, maxProfileBytes)
      const { status } = response
      if (status === 404) return { kind: 'unknown' }
      if (status === 401 || status === 403) return { kind: 'denied' }
      const attributes = status === 200 ? attributesIn(body) : undefined
      return attributes === undefined ? { kind: 'failed', status } : { kind: 'found', attributes }
    } catch {
      return { kind: 'failed' }
    } finally {
      timer.cancel()
    }
  }
}

/** Undefined where the body is no profile. */
function attributesIn(body: string): readonly HeldAttribute[] | undefined {
  try {
    const profile = JSON.parse(body) as unknown
    if (typeof profile !== 'object' || profile === null) return undefined
    const held = (profile as { profileAttributes?: unknown }).profileAttributes ?? {}
    if (typeof held !== 'object') return undefined
    return Object.entries(held as object)
      .flatMap(([name, one]: [string, unknown]) => (typeof one === 'object' && one !== null ? [{ name, ...one }] : []))
      .map(({ name, value, modifiedAt }: { name: string; value?: unknown; modifiedAt?: unknown }) => ({
        name,
        value: typeof value === 'string' ? value : (JSON.stringify(value) ?? ''),
        ...given({ modifiedAt: typeof modifiedAt === 'string' ? modifiedAt : undefined }),
      }))
  } catch {
    return undefined
  }
}
