/** A visitor's time line as an operator reads it (`core/ledger/rules/history.ts`). */
import { given } from '../../given.ts'
import { historyOf, type Kind } from '../../ledger/rules/history.ts'
import { isoTime } from '../../time.ts'
import { deferReasons, setAsideReasons } from '../../update/reasons.ts'

export interface TimeLineItem {
  /** ISO 8601, to the second. */
  readonly at: string
  /** `replayed`: sent by the flush. A word of a later version is shown as its letter. */
  readonly what: string
  /** When it came in, where that was earlier. */
  readonly receivedAt?: string
  readonly source?: string
  /** Of attributes; absent where they did not fit. */
  readonly names?: readonly string[]
  readonly reason?: string
  /** Other entries of the visitor that went in the same call; 9 or more: 9. */
  readonly merged?: number
}

const whats: Readonly<Record<Kind, string>> = {
  s: 'sent',
  r: 'replayed',
  d: 'deferred',
  e: 'deferred',
  j: 'rejected',
  p: 'superseded',
  u: 'unchanged',
  a: 'set_aside',
}

/** @param text as the ledger keeps it @returns oldest first */
export function timeLineOf(text: string | undefined): readonly TimeLineItem[] {
  return historyOf(text).map(({ kind, digit = -1, source, names, atS, afterS }) => {
    const what = whats[kind as Kind] ?? kind
    const reasons: readonly string[] = what === 'deferred' ? deferReasons : what === 'set_aside' ? setAsideReasons : []
    return {
      at: isoTime(atS * 1_000),
      what,
      ...given({
        receivedAt: afterS <= 0 ? undefined : isoTime((atS - afterS) * 1_000),
        source,
        names: names.length === 0 ? undefined : names,
        reason: reasons[digit],
        merged: kind === 'r' && digit > 0 ? digit : undefined,
      }),
    }
  })
}
