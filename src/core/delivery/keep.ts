/**
 * Puts what was not delivered where it survives: what is still to be sent into the backlog, the rest into the dead
 * letters.
 */

import type { Backlog, Entry } from '../backlog/port.ts'
import type { Clock } from '../clock.ts'
import { errorName } from '../errors.ts'
import { given } from '../given.ts'
import type { Log } from '../log.ts'
import type { DeferReason } from '../update/reasons.ts'
import { stampArrivalMs } from '../update/stamp.ts'
import type { Attribute, Stamp } from '../update/update.ts'
import { deadReason, firstDeferReason, standing } from './fate.ts'
import type { Part } from './parts.ts'
import type { FatedAttribute, Passage } from './passage.ts'

export interface KeepParts {
  readonly backlog: Pick<Backlog, 'put' | 'bury'>
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

/** Each answers true once everything is durable, and false where the store failed. Never rejects. */
export interface Keep {
  /** What Target does not have of it. */
  rest(part: Part, passage: Passage): Promise<boolean>
  /** What Target has of it, where the ledger could not be told: the flush settles it. */
  delivered(part: Part, passage: Passage): Promise<boolean>
  put(part: Part, attributes: readonly Attribute[], stamp: Stamp, reason: DeferReason): Promise<boolean>
  /** All of it, deferred without an answer of the ledger: under its own stamp, to be asked about later. */
  blind(part: Part, reason: DeferReason): Promise<boolean>
}

export function createKeep({ backlog, clock, log }: KeepParts): Keep {
  return {
    async rest(part, passage) {
      const dead = passage.attributes.filter(({ fate }) => standing(fate) === 'dead')
      const open = passage.attributes.filter(({ fate }) => standing(fate) === 'open')
      return (
        (dead.length === 0 || (await bury(part, passage, dead))) &&
        (open.length === 0 ||
          (await put(entryOf(part, open, stampOf(part, passage)), firstDeferReason(open.map(({ fate }) => fate)))))
      )
    },
    async delivered(part, passage) {
      const delivered = passage.attributes.filter(({ fate }) => fate === 'sent_delivered')
      return delivered.length === 0 || put(entryOf(part, delivered, stampOf(part, passage)), 'ledger_unavailable')
    },
    put: (part, attributes, stamp, reason) => put(entryOf(part, attributes, stamp), reason),
    blind: (part, reason) => put({ ...entryOf(part, part.attributes, part.stamp), blind: true }, reason),
  }

  async function put(entry: Entry, reason: DeferReason | undefined): Promise<boolean> {
    try {
      await backlog.put({ ...entry, ...given({ reason }) })
      return true
    } catch (error) {
      log('backlog_put_failed', { source: entry.source, error: errorName(error) })
      return false
    }
  }

  async function bury(part: Part, passage: Passage, dead: readonly FatedAttribute[]): Promise<boolean> {
    try {
      await backlog.bury({
        reason: deadReason(dead.map(({ fate }) => fate)),
        source: part.source,
        ...given({ detail: passage.refusal }),
        atMs: clock.now(),
        firstSeenMs: stampArrivalMs(part.stamp),
        attempts: passage.attempts + passage.calls,
        entry: entryOf(part, dead, stampOf(part, passage)),
      })
      return true
    } catch (error) {
      log('dead_letter_put_failed', { source: part.source, error: errorName(error) })
      return false
    }
  }
}

/** The first stamp, where the ledger answered with one. */
function stampOf(part: Part, passage: Passage): Stamp {
  return passage.attributes[0]?.stamp ?? part.stamp
}

/** Under the key of the event itself: its first stamp is what replay asks for. */
function entryOf({ whole: update }: Part, attributes: readonly Attribute[], stamp: Stamp): Entry {
  return {
    visitor: update.visitor,
    visitorHash: update.visitorHash,
    attributes: attributes.map(({ name, value }) => ({ name, value })),
    stamp,
    source: update.source,
    firstSeenMs: stampArrivalMs(update.stamp),
    ...given({ event: update.event, notBeforeMs: update.notBeforeMs }),
  }
}
