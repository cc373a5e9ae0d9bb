/**
 * Visitors whose entries were merged, through the door together, and cleaned up behind it, their entries side by side.
 *
 * Guarantee (G2): what went through the door is cleaned up, also where the run must end behind it, or another chunk
 * that is under way ends it.
 */
import type { Attempt } from '../core/delivery/attempt.ts'
import type { Passage } from '../core/delivery/passage.ts'
import type { Limits } from '../core/limits.ts'
import { type Budget, type Held, stopOf } from './budget.ts'
import { type CleanUpParts, cleanUp } from './clean-up.ts'
import { replayed, sourceOf } from './figures.ts'
import {
  askedAgain,
  type Group,
  type MergedGroup,
  nextNewest,
  replayAttempts,
  type Standings,
  standingsOf,
  standNext,
} from './groups.ts'
import type { Pass } from './passing.ts'
import { sideBySide } from './pipeline.ts'
import type { Refusals } from './refusals.ts'
import type { FlushReport } from './report.ts'

export interface ReplayParts extends CleanUpParts {
  readonly pass: Pass
  readonly budget: Pick<Budget, 'next' | 'hold' | 'leave'>
  readonly refusals: Pick<Refusals, 'stopIfRefused'>
  readonly limits: Limits
  /** Told after each chunk how far the run is. */
  readonly progress?: (soFar: Readonly<FlushReport>) => void
}

export interface Replay {
  /** Chunks that were worked on to their end. */
  readonly chunks: number
  /**
   * Sends groups in one admission. Throws a `Stop` where the run must end.
   *
   * @param movedOn told once another chunk may begin
   * @returns what is to be asked about once more in this run
   */
  chunk(groups: readonly MergedGroup[], movedOn: () => void): Promise<readonly Group[]>
}

/** What one chunk spends, and what it has found out. */
interface Work {
  readonly held: Held
  readonly passages: Passage[]
}

export function createReplay(parts: ReplayParts): Replay {
  const { pass, budget, refusals, limits, report, progress } = parts
  let chunks = 0

  return {
    get chunks() {
      return chunks
    },
    async chunk(groups, movedOn) {
      await budget.next(1)
      const attempts = groups.flatMap((group) => group.attempts)
      const held = budget.hold(attempts.length, entriesOf(groups))
      try {
        return await workOn(groups, attempts, held, movedOn)
      } finally {
        held.free()
      }
    },
  }

  async function workOn(
    groups: readonly MergedGroup[],
    attempts: readonly Attempt[],
    held: Held,
    movedOn: () => void,
  ): Promise<readonly Group[]> {
    const passed: Passage[] = []
    const again: Group[] = []
    const cleaning = sideBySide()
    let stop = await stopOf(() => pass(attempts, passed, { held, allStarted: movedOn }))
    movedOn()
    // A yes has closed the breaker, whatever that was about.
    const yes = hasFate(passed, 'sent_delivered')
    for (const group of groups) {
      const passages = passed.filter(({ attempt }) => attempt.visitorHash === group.visitorHash)
      if (passages.length === 0) continue
      const later = askedAgain(group, passages, yes)
      if (later !== undefined) {
        again.push(...later)
        report.deferredAgain += group.entries.length - entriesOf(later)
        continue
      }
      const standings = standingsOf(group, passages)
      countMerged(group, passages)
      if (stop === undefined && hasFate(passages, 'refused_together'))
        stop = await stopOf(() => takeApart(group, standings, { held, passages }))
      if (stop === undefined) stop = await stopOf(() => passNext(group, standings, { held, passages }))
      for (const kept of group.entries)
        cleaning.begin(cleanUp(parts, kept, standings.get(kept.key) ?? new Map(), passages, held))
    }
    const unclean = await stopOf(() => cleaning.end())
    progress?.(report)
    if (stop !== undefined || unclean !== undefined) throw stop ?? unclean
    chunks++
    refusals.stopIfRefused(passed)
    return again
  }

  function countMerged(group: Group, passages: readonly Passage[]): void {
    const calls = passages.reduce((sum, passage) => sum + passage.calls, 0)
    report.merged += Math.max(0, group.entries.length - 1)
    const saved = calls > 0 ? Math.max(0, group.entries.length - calls) : 0
    report.callsSaved += saved
    const sources = [...new Set(group.entries.map(({ entry }) => entry.source))]
    if (saved > 0) parts.untold.add(replayed(sourceOf(sources), 'calls_saved', saved))
  }

  /**
   * A merged call that Target refused: each event alone, the oldest first, one call each, so that one bad event does
   * not condemn its neighbours, and a loser does not leave with a refused winner. Adds what passed to the work's passages.
   */
  async function takeApart(group: Group, standings: ReadonlyMap<string, Standings>, work: Work): Promise<void> {
    const refused = new Set(
      [...standings.values()].flatMap((byName) =>
        [...byName].flatMap(([name, { fate }]) => (fate === 'refused_together' ? [name] : [])),
      ),
    )
    const oldestFirst = [...group.entries].sort((a, b) => (a.entry.stamp < b.entry.stamp ? -1 : 1))
    for (const { key, entry } of oldestFirst) {
      const attributes = entry.attributes.filter(({ name }) => refused.has(name))
      if (attributes.length === 0) continue
      const alone = attributes.map((attribute) => ({ ...attribute, stamp: entry.stamp }))
      const passed = await passMore(replayAttempts(group, alone, limits), work, (more) => {
        for (const { name, fate } of more.flatMap((passage) => passage.attributes))
          standings.get(key)?.set(name, { fate, loser: false })
      })
      // This visitor is to be left alone for a while.
      if (passed.some(({ failure }) => failure !== undefined)) return
    }
  }

  /**
   * If the newest value is set aside the next newest takes its place, and so on: left for the next run, hundreds of one
   * visitor would take as many runs. Adds what passed to the work's passages.
   */
  async function passNext(group: Group, standings: ReadonlyMap<string, Standings>, work: Work): Promise<void> {
    for (;;) {
      const next = nextNewest(group, standings)
      if (next.length === 0) return
      const passed = await passMore(replayAttempts(group, next, limits), work, (more) =>
        standNext(group, standings, more),
      )
      if (passed.length === 0 || passed.some(({ failure }) => failure !== undefined)) return
    }
  }

  /** What went through counts, also where the run must end behind it. */
  async function passMore(
    attempts: readonly Attempt[],
    { held, passages }: Work,
    stand: (passed: readonly Passage[]) => void,
  ): Promise<readonly Passage[]> {
    const passed: Passage[] = []
    const stop = await stopOf(() => pass(attempts, passed, { held }))
    passages.push(...passed)
    stand(passed)
    if (stop !== undefined) throw stop
    refusals.stopIfRefused(passed)
    return passed
  }
}

function entriesOf(groups: readonly Group[]): number {
  return groups.reduce((sum, { entries }) => sum + entries.length, 0)
}

function hasFate(passages: readonly Passage[], wanted: 'sent_delivered' | 'refused_together'): boolean {
  return passages.some(({ attributes }) => attributes.some(({ fate }) => fate === wanted))
}
