/** A run of the flush in words: how many took part, why it ended, what the platform allows it. */
import { counted } from '../core/words.ts'

/** Of a run's report, or of one that the status remembers; an older relay says less. */
export interface RunFigures {
  readonly stopped: string
  readonly runsTogether?: unknown
  readonly platformOperations?: unknown
  readonly platformCalls?: unknown
}

/** Empty where it came to its end. */
export function endedEarly({ stopped }: RunFigures): string {
  if (stopped === 'drained') return ''
  return `ended early: ${stopped === 'part_left' ? 'a part is left for the next run' : stopped.replaceAll('_', ' ')}`
}

/** Empty where it was one alone. */
export function sharedBy({ runsTogether }: RunFigures): string {
  return typeof runsTogether === 'number' ? `${counted(runsTogether, 'run')} shared the backlog` : ''
}

/** Empty where no run was refused anything in the last day. */
export function platformAllows({ platformOperations, platformCalls }: RunFigures): string {
  const known = [
    typeof platformOperations === 'number'
      ? counted(platformOperations, 'operation on the store', 'operations on the store')
      : '',
    typeof platformCalls === 'number' ? counted(platformCalls, 'call') : '',
  ].filter((text) => text !== '')
  return known.length === 0
    ? ''
    : `the platform refused a run more than ${known.join(' and ')}: runs of a day end before`
}
