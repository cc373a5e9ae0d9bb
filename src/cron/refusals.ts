/** What the ledger refused to everybody: a pause, an open breaker, a quota that is spent. */
import type { Passage } from '../core/delivery/passage.ts'
import type { Traits } from '../core/ledger/rules/health.ts'
import { Stop } from './budget.ts'
import type { FlushReport } from './report.ts'

export interface Refusals {
  /** What the breaker is about, as far as this run was told: there is no point in asking about that. */
  readonly shut: Traits | undefined
  /** Nothing was held back, and not all tries failed, when chunks were asked about last. */
  readonly calm: boolean
  /** Throws a `Stop` where nothing else would be admitted either. */
  stopIfRefused(passages: readonly Passage[]): void
}

export function createRefusals(report: Pick<FlushReport, 'retryAtMs'>): Refusals {
  let shut: Traits | undefined
  let calm = false
  return {
    get calm() {
      return calm
    },
    get shut() {
      return shut
    },
    stopIfRefused(passages) {
      const fates = new Set(passages.flatMap(({ attributes }) => attributes.map(({ fate }) => fate)))
      if (fates.has('paused')) throw new Stop('paused')
      // A yes has closed the breaker, whatever it was about.
      shut = fates.has('sent_delivered')
        ? undefined
        : (passages.find(({ shutTraits }) => shutTraits !== undefined)?.shutTraits ?? shut)
      calm =
        shut === undefined && (fates.has('sent_delivered') || passages.every(({ failure }) => failure === undefined))
      if (shut?.length === 0) throw new Stop('target_unavailable')
      if (fates.has('quota')) {
        const retryAtMs = passages.flatMap((passage) => passage.retryAtMs ?? [])
        if (retryAtMs.length > 0) report.retryAtMs = Math.min(...retryAtMs)
        throw new Stop('quota')
      }
    },
  }
}
