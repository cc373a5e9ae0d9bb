/**
 * Erases one visitor from everything the relay keeps: registers, backlog, dead letters.
 *
 * Guarantee: the ledger knows first that the visitor is erased, so that an entry which a stale list still shows, or a put
 * under way, is never sent afterwards.
 * Known hole: an update of the visitor that arrives later is a new one; a dead letter that can't be decrypted is not
 * looked into. The ledger keeps the keyed hash, without values, for as long as a register lives.
 */
import type { Backlog, DeadLetter } from './backlog/port.ts'
import type { Hasher } from './hash.ts'
import type { Ledger } from './ledger/port.ts'
import type { Visitor } from './update.ts'

export interface Erased {
  /** Backlog entries and dead letters removed. */
  readonly entries: number
  readonly deadLetters: number
  /** False where the budget ended first: ask again. */
  readonly complete: boolean
}

export interface EraseParts {
  readonly hasher: Hasher
  readonly ledger: Pick<Ledger, 'erase'>
  readonly backlog: Backlog
  /** Operations on the store that one request may ask for. */
  readonly maxOperations: number
}

export type Erase = (visitor: Visitor) => Promise<Erased>

/** Rejects where the ledger or the store does not answer; what was removed by then stays removed. */
export function createErase({ hasher, ledger, backlog, maxOperations }: EraseParts): Erase {
  return async (visitor) => {
    const visitorHash = await hasher.visitor(visitor)
    const id = 'pcId' in visitor ? visitor.pcId : visitor.thirdPartyId
    const before = backlog.operations
    const spent = () => backlog.operations - before >= maxOperations
    await ledger.erase(visitorHash)

    let entries = 0
    for (let cursor: string | undefined; ; ) {
      const page = await backlog.list({ prefix: `${visitorHash}/`, ...(cursor === undefined ? {} : { cursor }) })
      for (const { key } of page.items) {
        if (spent()) return { entries, deadLetters: 0, complete: false }
        await backlog.delete(key)
        entries++
      }
      cursor = page.cursor
      if (cursor === undefined) break
    }

    let deadLetters = 0
    for (let cursor: string | undefined; ; ) {
      if (spent()) return { entries, deadLetters, complete: false }
      const page = await backlog.listDead(cursor === undefined ? {} : { cursor })
      for (const item of page.items) {
        if (!('dead' in item) || !isAbout(item.dead, visitorHash, id)) continue
        if (spent()) return { entries, deadLetters, complete: false }
        await backlog.delete(item.key)
        deadLetters++
      }
      cursor = page.cursor
      if (cursor === undefined) return { entries, deadLetters, complete: true }
    }
  }
}

/** A raw event could not be mapped, so whose it is can only be told from its text. */
function isAbout({ entry, raw }: DeadLetter, visitorHash: string, id: string): boolean {
  if (entry !== undefined) return entry.visitorHash === visitorHash
  return raw !== undefined && (raw.includes(id) || raw.includes(JSON.stringify(id).slice(1, -1)))
}
