/** Wraps a backlog and records when a write last failed, so that `/readyz` can report that the store keeps nothing. */

import type { Clock } from '../clock.ts'
import { given } from '../given.ts'
import type { Backlog } from './port.ts'

export interface KeepMemory {
  /** When a put or a bury last failed with none since that did not, epoch ms. */
  keepFailedAtMs?: number
}

export function notedBacklog(
  backlog: Backlog,
  { clock, memory }: { clock: Pick<Clock, 'now'>; memory: KeepMemory },
): Backlog {
  return {
    get operations() {
      return backlog.operations
    },
    put: (entry) => noted(backlog.put(entry)),
    list: (options) => backlog.list(options),
    delete: (key) => backlog.delete(key),
    bury: (dead, name) => noted(backlog.bury(dead, name)),
    listDead: (options) => backlog.listDead(options),
    deadHeads: (options) => backlog.deadHeads(options),
    readDead: (key) => backlog.readDead(key),
    check: () => backlog.check(),
    ...given({ purge: backlog.purge }),
  }

  async function noted(keeping: Promise<string>): Promise<string> {
    try {
      const key = await keeping
      delete memory.keepFailedAtMs
      return key
    } catch (error) {
      memory.keepFailedAtMs = clock.now()
      throw error
    }
  }
}
