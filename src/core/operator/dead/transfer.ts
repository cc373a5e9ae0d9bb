/**
 * Dead letters out of a store and into it, a line of JSON each.
 *
 * Guarantee: a letter that comes in twice is kept once, under the key that its line names. An export says with its last
 * line whether it is whole, or where it goes on.
 * Known hole: a letter that no key opens is not exported; its key is, as `unreadable`.
 */

import { packDead, readDeadKey, unpackDead } from '../../backlog/entry-format.ts'
import { headOf } from '../../backlog/head-format.ts'
import type { Backlog } from '../../backlog/port.ts'
import type { Clock } from '../../clock.ts'
import { given } from '../../given.ts'
import type { Limits } from '../../limits.ts'
import type { Visitor } from '../../update/update.ts'
import { type DeadFilter, wantedBy } from './letters.ts'

export interface TransferParts {
  readonly backlog: Pick<Backlog, 'listDead' | 'bury' | 'operations'>
  readonly clock: Pick<Clock, 'now'>
  readonly maxOperations: number
  readonly limits: Pick<Limits, 'requestMs'>
  readonly hashOf: (visitor: Visitor) => Promise<string>
}

export interface Transfer {
  /** Lines without line feeds. The last one is `{"complete":true}`, or `{"cursor":…}` to go on from. */
  exportLines(filter: DeadFilter, cursor?: string): AsyncGenerator<string>
  /**
   * Keeps a letter from its line. `other` of those that an export holds besides letters; `foreign` where its visitor was
   * hashed under another `HASH_KEY`.
   */
  importLine(line: string): Promise<'kept' | 'other' | 'unreadable' | 'foreign'>
}

export function createTransfer({ backlog, clock, maxOperations, limits, hashOf }: TransferParts): Transfer {
  return {
    async *exportLines(filter, from) {
      const [before, startedMs] = [backlog.operations, clock.now()]
      let cursor = from
      do {
        const page = await backlog.listDead({ wanted: wantedBy(filter), ...given({ cursor }) })
        for (const item of page.items) {
          const { key } = item
          if ('dead' in item) yield JSON.stringify({ key, letter: packDead(item.dead) })
          else if (Object.keys(filter).length === 0 || (item.head !== undefined && wantedBy(filter)(item.head)))
            yield JSON.stringify({ key, unreadable: item.unreadable })
        }
        cursor = page.cursor
        if (backlog.operations - before >= maxOperations || clock.now() - startedMs >= limits.requestMs) break
      } while (cursor !== undefined)
      yield JSON.stringify(cursor === undefined ? { complete: true } : { cursor })
    },

    async importLine(line) {
      const read = parsed(line)
      if (read === undefined) return 'unreadable'
      const { key, letter } = read
      if (letter === undefined) return 'other'
      const [at, dead] = [readDeadKey(String(key)), unpackDead(letter)]
      if (at === undefined || dead === undefined || headOf(dead).atMs !== at.atMs) return 'unreadable'
      const { entry } = dead
      if (entry !== undefined && (await hashOf(entry.visitor)) !== entry.visitorHash) return 'foreign'
      await backlog.bury(dead, at.name)
      return 'kept'
    },
  }
}

function parsed(line: string): { readonly key?: unknown; readonly letter?: unknown } | undefined {
  try {
    const read: unknown = JSON.parse(line)
    return typeof read === 'object' && read !== null ? read : undefined
  } catch {
    return undefined
  }
}
