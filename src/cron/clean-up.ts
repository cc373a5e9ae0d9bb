/**
 * What becomes of an entry once it was through the door.
 *
 * Guarantee (G2): dead letter, put-back, delete, in this order. If any of them fails the entry stays where it is.
 */
import type { Backlog, DeadReason, Entry, KeptEntry } from '../core/backlog/port.ts'
import type { Clock } from '../core/clock.ts'
import { deadReason, type Fate, firstDeferReason, setAsideReason } from '../core/delivery/fate.ts'
import type { Passage } from '../core/delivery/passage.ts'
import { given } from '../core/given.ts'
import type { Untold } from '../core/ledger/untold.ts'
import { setAsideReasons } from '../core/update/reasons.ts'
import type { Attribute } from '../core/update/update.ts'
import type { Budget, Held } from './budget.ts'
import type { RunConnections } from './connections.ts'
import { noteLeft, type RunNotes, replayed } from './figures.ts'
import { type Standings, standingOf } from './groups.ts'
import type { Removals } from './removals.ts'
import type { FlushReport } from './report.ts'

export interface CleanUpParts {
  readonly backlog: Pick<Backlog, 'put' | 'bury' | 'delete' | 'removesTogether'>
  readonly removals: Removals
  readonly untold: Pick<Untold, 'add'>
  readonly notes: RunNotes
  readonly budget: Pick<Budget, 'leave'>
  readonly connections: RunConnections
  readonly clock: Pick<Clock, 'now'>
  readonly report: FlushReport
}

/** Dead letters for which Target, or a proxy in front of it, gave the reason. */
const saidByTarget: ReadonlySet<DeadReason> = new Set(['rejected', 'refused_repeatedly'])

/** Throws a `Stop` where the run must end. */
export async function cleanUp(
  parts: CleanUpParts,
  { key, entry }: KeptEntry,
  standings: Standings,
  passages: readonly Passage[],
  held: Pick<Held, 'cleanUp'>,
): Promise<void> {
  const { backlog, removals, untold, notes, budget, connections, clock, report } = parts
  const at = (wanted: string) => entry.attributes.filter(({ name }) => standingOf(standings.get(name)) === wanted)
  const [dead, open] = [at('dead'), at('open')]
  if (open.length === entry.attributes.length) {
    report.deferredAgain++
    return
  }
  const operations = 1 + Math.min(dead.length, 1) + Math.min(open.length, 1)
  const left =
    operations === 1 && backlog.removesTogether?.(key) === true
      ? await held.cleanUp(1, () => budget.leave(() => removals.remove(key)))
      : await connections.use('store', () => held.cleanUp(operations, () => budget.leave(leave)))
  if (!left) report.deferredAgain++
  if (!left || open.length > 0 || dead.length > 0) return
  const sent = [...standings.values()].filter(({ fate }) => fate === 'sent_delivered')
  const became = sent.some(({ loser }) => !loser) ? 'replayed' : 'superseded'
  const unchanged = [...standings.values()].some(({ fate, loser }) => fate === 'unchanged' && !loser)
  // What was merged into a call that went is on the visitor's time line with that call.
  if (sent.length === 0) noteLeft(notes, entry, { kind: unchanged ? 'u' : 'p' })
  report[became]++
  untold.add(replayed(entry.source, became === 'superseded' && unchanged ? 'unchanged' : became))

  async function leave(): Promise<void> {
    if (dead.length > 0) {
      const letter = deadLetterOf(entry, dead, standings, passages, clock.now())
      await backlog.bury(letter)
      report.dead++
      const byTarget = saidByTarget.has(letter.reason)
      untold.add(replayed(entry.source, byTarget ? 'rejected' : 'set_aside'))
      if (!byTarget)
        noteLeft(notes, letter.entry, {
          kind: 'a',
          digit: setAsideReasons.indexOf(setAsideReason(fatesOf(dead, standings))),
        })
    }
    if (open.length > 0) {
      const { blind: _met, ...rest } = entry
      const reason = firstDeferReason(open.map(({ name }) => standings.get(name)?.fate))
      await backlog.put({ ...rest, attributes: open, ...given({ reason }) })
      report.deferredAgain++
    }
    await backlog.delete(key)
  }
}

function fatesOf(attributes: readonly Attribute[], standings: Standings): readonly Fate[] {
  return attributes.flatMap(({ name }) => standings.get(name)?.fate ?? [])
}

/** @param passages of its visitor */
function deadLetterOf(
  entry: Entry,
  dead: readonly Attribute[],
  standings: Standings,
  passages: readonly Passage[],
  nowMs: number,
) {
  const reason = deadReason(fatesOf(dead, standings))
  const names = new Set(dead.map(({ name }) => name))
  const about = passages.filter(({ attributes }) =>
    attributes.some(({ name, stamp }) => names.has(name) && stamp === entry.stamp),
  )
  const refusal = about.findLast((passage) => passage.refusal !== undefined)?.refusal
  return {
    reason,
    source: entry.source,
    ...given({ detail: saidByTarget.has(reason) ? refusal : undefined }),
    atMs: nowMs,
    firstSeenMs: entry.firstSeenMs,
    attempts: Math.max(0, ...about.map(({ attempts, calls }) => attempts + calls)),
    entry: { ...entry, attributes: dead },
  }
}
