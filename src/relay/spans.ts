/** Spans around what a relay asks of its ledger and of Target. What it asks of its backlog has them in `noted.ts`. */
import type { Ledger } from '../core/ledger/port.ts'
import type { Span } from '../core/spans.ts'
import type { Target } from '../core/wire/port.ts'

/** @param ledger whose methods are its own properties */
export function spannedLedger(ledger: Ledger, span: Span): Ledger {
  return {
    ...ledger,
    admit: (...asked) => span('admit', () => ledger.admit(...asked)),
    settle: (...asked) => span('settle', () => ledger.settle(...asked)),
  }
}

export function spannedTarget(target: Target, span: Span): Target {
  return { send: (...asked) => span('call', () => target.send(...asked)) }
}
