/**
 * What alerts are judged by. An idle run reads little: that nothing waits its report says, and all else may be some
 * minutes old then.
 */
import type { Clock } from '../core/clock.ts'
import type { Ledger, Summary } from '../core/ledger/port.ts'
import type { Slot } from '../core/ledger/rules/figures.ts'
import type { Figures } from '../cron/alerts/conditions.ts'
import { foundNothing } from '../cron/census.ts'
import type { FlushReport } from '../cron/report.ts'
import type { Status } from './status.ts'

export interface AlertFiguresParts {
  readonly ledger: Pick<Ledger, 'summary'>
  readonly status: Pick<Status, 'outlook'>
  readonly clock: Pick<Clock, 'now'>
  readonly memory: FiguresMemory
}

/** What a process or an isolate remembers. */
export interface FiguresMemory {
  /** When all was last read, epoch ms. */
  lookedAtMs?: number
}

export type LookForAlerts = (report: FlushReport) => Promise<{ readonly summary: Summary; readonly figures: Figures }>

const idleLookMs = 600_000

export function lookForAlerts({ ledger, status, clock, memory }: AlertFiguresParts): LookForAlerts {
  return async (report) => {
    const nowMs = clock.now()
    const idle = foundNothing(report)
    const waits = idle ? { oldestAtMs: null } : {}
    // Also if the clock was set back.
    if (idle && Math.abs(nowMs - (memory.lookedAtMs ?? Number.NEGATIVE_INFINITY)) < idleLookMs)
      return { summary: await ledger.summary(), figures: waits }
    const { usage, slots, figures } = await status.outlook()
    memory.lookedAtMs = nowMs
    return {
      summary: usage,
      figures: {
        ...figures,
        ...waits,
        unauthenticatedInRow: failedInRow(slots),
      },
    }
  }
}

const prefix = 'unauthenticated'
/** What is counted of a request whose sender was authenticated. */
const authenticated: ReadonlySet<string> = new Set(['received', 'greeted', 'confirmation'])

/**
 * By source, how many failed to authenticate since the last slot in which one did not. What failed and what did not
 * within one slot has no known order: it counts as over.
 *
 * @param slots oldest first
 */
export function failedInRow(slots: readonly Slot[]): Readonly<Record<string, number>> {
  const inRow: Record<string, number> = {}
  for (const { lines } of slots) {
    const passed = new Set<string>()
    for (const [line, counters] of Object.entries(lines)) {
      const source = line.slice(0, line.indexOf('/'))
      for (const [name, count] of Object.entries(counters))
        if (name.startsWith(prefix)) inRow[source] = (inRow[source] ?? 0) + count
        else if (authenticated.has(name)) passed.add(source)
    }
    for (const source of passed) inRow[source] = 0
  }
  return inRow
}
