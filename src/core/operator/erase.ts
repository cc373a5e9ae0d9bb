/**
 * Erases one visitor from everything the relay keeps: registers, backlog, dead letters.
 *
 * Guarantee: the ledger knows first that the visitor is erased, so that an entry which a stale list still shows, or a
 * put under way, is never sent afterwards. However much there is, each call ends within its bounds and says where the
 * next one goes on; nothing that it could not read is skipped silently.
 * Known hole: an update of the visitor that arrives later is a new one. The ledger keeps the keyed hash, without
 * values, for as long as a register lives. Whose a raw event is can only be told from its text (`mention.ts`).
 */

import type { Backlog, DeadHead, KeptDead, Unreadable } from '../backlog/port.ts'
import type { Clock } from '../clock.ts'
import { errorName } from '../errors.ts'
import { given } from '../given.ts'
import type { Ledger } from '../ledger/port.ts'
import { defaultLimits, type Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import { pagesOf } from '../pages.ts'
import type { Hasher } from '../update/hash.ts'
import type { Visitor } from '../update/update.ts'
import { mentionOf } from './mention.ts'

/** What one call did. */
export interface Erased {
  /** Backlog entries and dead letters removed. */
  readonly entries: number
  readonly deadLetters: number
  /** Raw events that hold the id, though not as a value of their own: left, for a person to look at. */
  readonly mentioned: number
  /**
   * Dead letters that could not be read, in this call and those before it: no key opens them, or the store does not
   * give them. They may be this visitor's.
   */
  readonly unreadable: number
  /** False where there is a `cursor` or something `todo`. */
  readonly complete: boolean
  /** Where the bounds of one call ended it: ask again, with it. */
  readonly cursor?: string
  /** Where nothing is left that asking on would reach, and yet not all is erased: what to do about it. */
  readonly todo?: string
}

export interface EraseParts {
  readonly hasher: Hasher
  readonly ledger: Pick<Ledger, 'erase'>
  readonly backlog: Backlog
  readonly clock: Pick<Clock, 'now'>
  /** Operations on the store that one call may ask for. */
  readonly maxOperations: number
  /** A line for the log, without ids or values. */
  readonly log: Log
  readonly limits?: Limits
}

/**
 * @param cursor of an answer about this visitor that was not complete
 * @returns `unknown_cursor` where it is none; then nothing was done
 */
export type Erase = (visitor: Visitor, cursor?: string) => Promise<Erased | 'unknown_cursor'>

/** By a clock that is behind, what the visitor did before the erasure would count as done after it. */
const clockIsOff =
  'the clock of the ledger is off, so nothing was erased: wait until it is right, or confirm it, and erase again'

/** A Worker has six connections. */
const deletesAtOnce = 4

/** Rejects where the ledger or the store does not answer; what was removed by then stays removed. */
export function createErase(parts: EraseParts): Erase {
  const { hasher, ledger, backlog, clock, maxOperations, limits = defaultLimits } = parts
  return async (visitor, cursor) => {
    const visitorHash = await hasher.visitor(visitor)
    const id = 'pcId' in visitor ? visitor.pcId : visitor.thirdPartyId
    const from = cursor === undefined ? beginning : readCursor(cursor, visitorHash)
    if (from === undefined) return 'unknown_cursor'
    const erased = { entries: 0, deadLetters: 0, mentioned: 0, unreadable: from.unreadable }
    // Once: what the visitor does from then on is new. (An object of the version before answers nothing.)
    if (cursor === undefined && (await ledger.erase(visitorHash)) === false)
      return { ...erased, complete: false, todo: clockIsOff }

    const [operationsBefore, startedMs] = [backlog.operations, clock.now()]
    // A page is done whole, or what a stale list shows again would be begun anew for ever: so as few keys as the budget
    // allows to be read and deleted.
    const keysLeft = () => Math.floor((maxOperations - (backlog.operations - operationsBefore) - 1) / 2)
    const asked = (after: string | undefined) => ({
      limit: Math.max(1, Math.min(keysLeft(), limits.keysPerPage)),
      ...given({ cursor: after }),
    })
    const isSpent = () => keysLeft() < 1 || clock.now() - startedMs >= limits.requestMs
    const unfinished = (part: Place['part'], after: string | undefined): Erased => ({
      ...erased,
      complete: false,
      cursor: writeCursor({ part, unreadable: erased.unreadable, after }, visitorHash),
    })

    if (from.part === 'entries') {
      const list = (after: string | undefined) => backlog.list({ ...asked(after), prefix: `${visitorHash}/` })
      for await (const page of pagesOf(list, from.after)) {
        erased.entries += await remove(page.items)
        if (isSpent()) return unfinished(page.cursor === undefined ? 'dead' : 'entries', page.cursor)
      }
    }
    const listDead = (after: string | undefined) => backlog.listDead({ ...asked(after), wanted: mayBeOf(visitorHash) })
    for await (const page of pagesOf(listDead, from.part === 'dead' ? from.after : undefined)) {
      const relations = page.items.map((item) => ({ item, relation: relationOf(item, visitorHash, id) }))
      const count = (wanted: string) => relations.filter(({ relation }) => relation === wanted).length
      erased.deadLetters += await remove(relations.flatMap(({ item, relation }) => (relation === 'about' ? item : [])))
      erased.mentioned += count('mentioned')
      erased.unreadable += count('unreadable')
      if (page.cursor !== undefined && isSpent()) return unfinished('dead', page.cursor)
    }
    return ended(erased)
  }

  async function ended(erased: Omit<Erased, 'complete'>): Promise<Erased> {
    const todo: string[] = []
    if (erased.unreadable > 0)
      todo.push(
        `${erased.unreadable} dead letters cannot be read: set the key that sealed them in BACKLOG_KEYS again, behind the others, or wait until the store answers, and erase again`,
      )
    try {
      await backlog.purge?.()
    } catch (error) {
      parts.log('purge_failed', { error: errorName(error) })
      todo.push(
        'what was deleted still stands in the log of the SQLite file: end whatever else reads the file (a backup, a shell), and erase again',
      )
    }
    return todo.length === 0 ? { ...erased, complete: true } : { ...erased, complete: false, todo: todo.join('; ') }
  }

  async function remove(items: readonly { readonly key: string }[]): Promise<number> {
    for (let start = 0; start < items.length; start += deletesAtOnce)
      await Promise.all(items.slice(start, start + deletesAtOnce).map(({ key }) => backlog.delete(key)))
    return items.length
  }
}

function mayBeOf(hash: string): (head: DeadHead) => boolean {
  return ({ visitorHash }) => visitorHash === undefined || visitorHash === hash
}

/** What its head says needs no decryption. */
function relationOf(item: KeptDead | Unreadable, visitorHash: string, id: string) {
  if (!('dead' in item)) return item.head?.visitorHash === visitorHash ? 'about' : 'unreadable'
  const { entry, raw } = item.dead
  if (entry !== undefined) return entry.visitorHash === visitorHash ? 'about' : 'none'
  return raw === undefined ? 'none' : mentionOf(raw, id)
}

interface Place {
  readonly part: 'entries' | 'dead'
  /** Dead letters met so far that could not be read. */
  readonly unreadable: number
  /** The backlog's own cursor; undefined at the beginning. */
  readonly after: string | undefined
}

const beginning: Place = { part: 'entries', unreadable: 0, after: undefined }
/** Digits of the visitor's hash that tell the cursor of another erasure. */
const hashDigits = 16
const cursorShape = new RegExp(`^(entries|dead)\\.([0-9a-f]{${hashDigits}})\\.(\\d{1,9})\\.(.*)$`, 's')

function writeCursor({ part, unreadable, after = '' }: Place, visitorHash: string): string {
  return `${part}.${visitorHash.slice(0, hashDigits)}.${unreadable}.${after}`
}

/**
 * Undefined for a cursor of another visitor's erasure: it would skip what comes before it, and the answer would say
 * that all was erased.
 */
function readCursor(cursor: string, visitorHash: string): Place | undefined {
  const [, part, hash, unreadable, after] = cursorShape.exec(cursor) ?? []
  if ((part !== 'entries' && part !== 'dead') || hash !== visitorHash.slice(0, hashDigits)) return undefined
  return { part, unreadable: Number(unreadable), after: after === '' ? undefined : after }
}
