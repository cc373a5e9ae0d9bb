/**
 * A ledger that answers in time or is given up: the caller then defers (G1), it never waits for a yes.
 *
 * Guarantee: an admission that comes after it was given up is given back, units and registers, as soon as it comes. Nothing
 * was sent on it, and nothing will be.
 * Known hole: one whose answer never comes, or comes after `lateAnswerMs`, or after its process, has taken effect all the
 * same: its units are spent, and its attributes contended until the attempt is old.
 */
import type { Clock } from '../clock.ts'
import { errorName } from '../errors.ts'
import type { Admission, AdmitRequest, Ledger, Settlement } from './port.ts'

/** How long behind the deadline an answer is still waited for, behind the answer to the sender. */
export const lateAnswerMs = 10_000

export class LedgerSilent extends Error {
  override readonly name = 'LedgerSilent'
  constructor(timeoutMs: number) {
    super(`the ledger did not answer within ${timeoutMs} ms`)
  }
}

export interface LateParts {
  readonly background: (work: Promise<unknown>) => void
  readonly log: (event: string, details?: Readonly<Record<string, string | number>>) => void
}

/** Wraps each method with a deadline. What was asked, other than an admission, may take effect all the same. */
export function withDeadline(ledger: Ledger, timeoutMs: number, clock: Clock, { background, log }: LateParts): Ledger {
  const inTime = async <T>(answer: Promise<T>): Promise<T> => {
    const timer = clock.after(timeoutMs)
    try {
      return await Promise.race([
        answer,
        timer.elapsed.then((): never => {
          throw new LedgerSilent(timeoutMs)
        }),
      ])
    } finally {
      timer.cancel()
    }
  }
  return {
    kind: ledger.kind,
    async admit(requests, lane) {
      const answer = ledger.admit(requests, lane)
      try {
        return await inTime(answer)
      } catch (error) {
        if (error instanceof LedgerSilent) background(giveBackLate(requests, answer))
        throw error
      }
    },
    settle: (settlements, counts, leads) => inTime(ledger.settle(settlements, counts, leads)),
    firstStamps: (events) => inTime(ledger.firstStamps(events)),
    summary: () => inTime(ledger.summary()),
    usage: () => inTime(ledger.usage()),
    confirmClock: () => inTime(ledger.confirmClock()),
    lease: (name, holder, ttlMs) => inTime(ledger.lease(name, holder, ttlMs)),
    release: (name, holder) => inTime(ledger.release(name, holder)),
    recall: (name) => inTime(ledger.recall(name)),
    remember: (name, value) => inTime(ledger.remember(name, value)),
    rememberFirst: (name, value) => inTime(ledger.rememberFirst(name, value)),
    check: () => inTime(ledger.check()),
    pause: (paused) => inTime(ledger.pause(paused)),
    erase: (visitorHash) => inTime(ledger.erase(visitorHash)),
    restate: (units) => inTime(ledger.restate(units)),
    visitor: (visitorHash) => inTime(ledger.visitor(visitorHash)),
    moveOut: (cursor) => inTime(ledger.moveOut(cursor)),
    moveIn: (part) => inTime(ledger.moveIn(part)),
  }

  async function giveBackLate(requests: readonly AdmitRequest[], answer: Promise<readonly Admission[]>): Promise<void> {
    try {
      const admissions = await answer
      const settlements = requests.flatMap((request, index) => unused(request, admissions[index]))
      if (settlements.length === 0) return
      await inTime(ledger.settle(settlements, {}))
      log('late_admission_given_back', { attempts: settlements.length })
    } catch (error) {
      log('late_admission_kept', { error: errorName(error) })
    }
  }
}

/** Settles an admitted attempt as unsent and returns its units; empty if nothing was admitted. */
function unused({ visitorHash, token, attributes, units, source }: AdmitRequest, admission: Admission | undefined): readonly Settlement[] {
  if (admission?.event !== 'open' || admission.bucket === undefined) return []
  const { verdicts, firstStamp, bucket } = admission
  const admitted = attributes.filter((_, index) => verdicts[index] === 'send')
  return [
    {
      visitorHash,
      token,
      attributes: admitted.map(({ name, stamp }) => ({ name, stamp: firstStamp ?? stamp, outcome: 'unsent' as const })),
      giveBack: { bucket, units, ...(source === undefined ? {} : { source: source.name }) },
    },
  ]
}
