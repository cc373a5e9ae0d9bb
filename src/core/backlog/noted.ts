/**
 * Wraps a backlog and notes its writes: when one last failed, so that `/readyz` can report that the store keeps
 * nothing, and a line of the log for each dead letter.
 */

import type { Clock } from '../clock.ts'
import { given } from '../given.ts'
import type { Log } from '../log.ts'
import type { Span, SpanName } from '../spans.ts'
import type { Backlog, DeadLetter, DeadReason } from './port.ts'

export interface KeepMemory {
  /** When a put or a bury last failed with none since that did not, epoch ms. */
  keepFailedAtMs?: number
}

export interface NotedParts {
  readonly clock: Pick<Clock, 'now'>
  readonly memory: KeepMemory
  readonly log: Log
  readonly span: Span
}

export function notedBacklog(backlog: Backlog, { clock, memory, log, span }: NotedParts): Backlog {
  return {
    get operations() {
      return backlog.operations
    },
    put: (entry) => noted('put', () => backlog.put(entry)),
    list: (options) => backlog.list(options),
    delete: (key) => backlog.delete(key),
    bury: async (dead, name) => {
      const key = await noted('bury', () => backlog.bury(dead, name))
      log(lineOf(dead), { source: dead.source, reason: dead.reason, key })
      return key
    },
    listDead: (options) => backlog.listDead(options),
    deadHeads: (options) => backlog.deadHeads(options),
    readDead: (key) => backlog.readDead(key),
    readDeads: (keys) => backlog.readDeads(keys),
    exchange: (puts, deletes) =>
      // What is only removed says nothing of whether something can be kept.
      puts.length === 0 ? backlog.exchange([], deletes) : noted('put', () => backlog.exchange(puts, deletes)),
    putText: (key, text) => noted('put', () => backlog.putText(key, text)),
    readText: (key) => backlog.readText(key),
    reseal: (asked) => backlog.reseal(asked),
    check: () => backlog.check(),
    ...given({
      purge: backlog.purge,
      tally: backlog.tally,
      heads: backlog.heads,
      removesTogether: backlog.removesTogether,
    }),
  }

  async function noted<T>(name: SpanName, keep: () => Promise<T>): Promise<T> {
    try {
      const key = await span(name, keep)
      delete memory.keepFailedAtMs
      return key
    } catch (error) {
      memory.keepFailedAtMs = clock.now()
      throw error
    }
  }
}

/** Dead letters for which Target, or a proxy in front of it, was asked. */
const refused: ReadonlySet<DeadReason> = new Set(['rejected', 'refused_repeatedly'])

/** Its detail is left out: what Target says may quote what it was sent. */
function lineOf({ reason }: Pick<DeadLetter, 'reason'>): 'rejected' | 'quarantined' | 'confirmation' | 'set_aside' {
  if (reason === 'confirmation') return 'confirmation'
  return reason === 'unmappable' ? 'quarantined' : refused.has(reason) ? 'rejected' : 'set_aside'
}
