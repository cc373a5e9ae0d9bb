/**
 * Dead letters for an operator: listed by their heads, and read one at a time.
 *
 * Guarantee (G9): each letter of the store is shown by some page, also one that cannot be opened; a list ends within the
 * bounds of a request, with a cursor, also where a filter fits nothing. No value and no id is shown unless it is asked
 * for (`reveal`).
 * Known hole: a KV shows a letter elsewhere up to a minute after it was set aside.
 */
import { readDeadKey } from '../../backlog/entry-format.ts'
import type { Backlog, DeadHead, DeadReason, HeadedDead, Unreadable } from '../../backlog/port.ts'
import type { Clock } from '../../clock.ts'
import { given } from '../../given.ts'
import type { Limits } from '../../limits.ts'
import { isoTime } from '../../time.ts'
import { stampTimeMs } from '../../update/stamp.ts'
import type { Update, Visitor } from '../../update/update.ts'
import type { RemapParts } from '../remap.ts'

/** Which letters; all where it is empty. */
export interface DeadFilter {
  readonly reason?: DeadReason
  readonly source?: string
  /** Set aside before then, epoch ms. */
  readonly beforeMs?: number
  /** The keyed hash. */
  readonly visitorHash?: string
}

export interface ListedLetter {
  readonly key: string
  /** `sealed`: nothing of it can be read, neither its content nor its head. */
  readonly reason: DeadReason | 'sealed'
  readonly source?: string
  /** When it was set aside, and when the relay first saw it, ISO 8601. */
  readonly at?: string
  readonly firstSeenAt?: string
  readonly attempts?: number
  /** What Target or the mapping said, in a list only the beginning. */
  readonly detail?: string
  /** The keyed hash of whose update it is. */
  readonly visitor?: string
}

export interface LetterPage {
  readonly letters: readonly ListedLetter[]
  /** Where there may be more. */
  readonly cursor?: string
}

/** One letter. Texts are masked: their characters are counted, unless they are revealed. */
export interface ReadLetter extends ListedLetter {
  /** Why its content cannot be read. */
  readonly unreadable?: string
  readonly update?: ReadUpdate
  /** The raw event, and the id that its sender gave outside of it. */
  readonly raw?: string
  readonly rawCharacters?: number
  readonly eventId?: string
  /** What its source makes of the raw event now. */
  readonly mapped?: { readonly updates: readonly ReadUpdate[] } | { readonly reason: string }
}

export interface ReadUpdate {
  readonly visitor: Readonly<Record<string, string | number>>
  readonly attributes: readonly { readonly name: string; readonly value?: string; readonly characters?: number }[]
  /** Its place in time, ISO 8601. */
  readonly occurredAt: string
}

export interface LettersParts {
  readonly backlog: Pick<Backlog, 'deadHeads' | 'readDead' | 'operations'>
  readonly map?: RemapParts['map']
  readonly clock: Pick<Clock, 'now'>
  /** Operations on the store that one request may ask for. */
  readonly maxOperations: number
  readonly limits: Pick<Limits, 'requestMs'>
}

export interface Letters {
  /**
   * Newest first.
   *
   * @param limit letters, 1..1,000
   */
  list(filter: DeadFilter, limit: number, cursor?: string): Promise<LetterPage>
  /**
   * Undefined where there is none under this key.
   *
   * @param remap maps a raw event again, and says what would come of it; nothing is sent
   */
  read(key: string, reveal: boolean, remap?: boolean): Promise<ReadLetter | undefined>
}

/** Both reject where the store does not answer. */
export function createLetters({ backlog, clock, map, maxOperations, limits }: LettersParts): Letters {
  return {
    async list(filter, limit, from) {
      const [operationsBefore, startedMs] = [backlog.operations, clock.now()]
      const letters: ListedLetter[] = []
      let cursor = from
      // Without a filter each letter is shown: no more is read than that.
      const isFiltered = Object.keys(filter).length > 0
      do {
        const left = limit - letters.length
        const page = await backlog.deadHeads({
          wanted: wantedBy(filter),
          itemsAtMost: left,
          ...(isFiltered ? {} : { limit: left }),
          details: true,
          ...given({ cursor }),
        })
        letters.push(...page.items.map(listed))
        cursor = page.cursor
        const spent =
          backlog.operations - operationsBefore >= maxOperations || clock.now() - startedMs >= limits.requestMs
        if (letters.length >= limit || spent) break
      } while (cursor !== undefined)
      return { letters, ...given({ cursor }) }
    },

    async read(key, reveal, remap = false) {
      const kept = readDeadKey(key) === undefined ? undefined : await backlog.readDead(key)
      if (kept === undefined) return undefined
      if (!('dead' in kept)) return { ...listed(kept), unreadable: kept.unreadable }
      const { reason, source, detail, atMs, firstSeenMs, attempts, entry, raw, eventId } = kept.dead
      const mapped = remap && raw !== undefined ? await map?.({ ...kept.dead, raw }, firstSeenMs) : undefined
      return {
        key,
        reason,
        source,
        at: isoTime(atMs),
        firstSeenAt: isoTime(firstSeenMs),
        attempts,
        ...given({ detail, visitor: entry?.visitorHash }),
        ...given({
          update: entry && shownUpdate(entry, reveal),
          mapped:
            mapped &&
            (mapped.ok
              ? { updates: mapped.updates.map((one) => shownUpdate(one, reveal)) }
              : { reason: mapped.reason }),
        }),
        ...given({ rawCharacters: raw?.length, ...(reveal ? { raw, eventId } : {}) }),
      }
    },
  }
}

/** Decides by a letter's head. */
export function wantedBy({ reason, source, beforeMs, visitorHash }: DeadFilter): (head: DeadHead) => boolean {
  return (head) =>
    (reason === undefined || head.reason === reason) &&
    (source === undefined || head.source === source) &&
    (beforeMs === undefined || head.atMs < beforeMs) &&
    (visitorHash === undefined || head.visitorHash === visitorHash)
}

function listed(item: HeadedDead | Unreadable): ListedLetter {
  const { key, head } = item
  if (head === undefined) {
    const atMs = readDeadKey(key)?.atMs
    return { key, reason: 'sealed', ...given({ at: atMs === undefined ? undefined : isoTime(atMs) }) }
  }
  const { reason, source, atMs, firstSeenMs, attempts, visitorHash } = head
  return {
    key,
    reason,
    source,
    at: isoTime(atMs),
    firstSeenAt: isoTime(firstSeenMs),
    attempts,
    ...given({ detail: 'detail' in item ? item.detail : undefined, visitor: visitorHash }),
  }
}

function shownUpdate(
  { visitor, attributes, stamp }: Pick<Update, 'visitor' | 'attributes' | 'stamp'>,
  reveal: boolean,
) {
  return {
    visitor: shownVisitor(visitor, reveal),
    attributes: attributes.map(({ name, value }) => (reveal ? { name, value } : { name, characters: value.length })),
    occurredAt: isoTime(stampTimeMs(stamp)),
  }
}

function shownVisitor(visitor: Visitor, reveal: boolean): Readonly<Record<string, string | number>> {
  const [[kind, id]] = Object.entries(visitor) as [[string, string]]
  return reveal ? { [kind]: id } : { [`${kind}Characters`]: id.length }
}
