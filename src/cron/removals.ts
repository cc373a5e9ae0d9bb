/**
 * Entries that leave a store which removes many by one request, with nothing put in their place: it is asked once for all
 * that gathered while no connection was free for it.
 *
 * Guarantee (G2): `remove` resolves once the entry is removed, and rejects where it may still be there.
 */
import type { Backlog } from '../core/backlog/port.ts'
import type { RunConnections } from './connections.ts'

export interface Removals {
  /** Takes a connection itself: none may be held meanwhile. */
  remove(key: string): Promise<void>
}

export function createRemovals(backlog: Pick<Backlog, 'exchange'>, { use }: Pick<RunConnections, 'use'>): Removals {
  let gathering: { readonly keys: string[]; readonly done: Promise<void> } | undefined
  return {
    remove(key) {
      if (gathering === undefined) {
        const keys: string[] = []
        const done = use('store', async () => {
          // Where a connection is free at once, those of this very moment.
          await undefined
          gathering = undefined
          await backlog.exchange([], keys)
        })
        gathering = { keys, done }
      }
      gathering.keys.push(key)
      return gathering.done
    },
  }
}
