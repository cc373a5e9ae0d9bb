/** A ledger that answers in time or is given up: the caller then defers (G1), it never waits for a yes. */
import type { Clock } from '../clock.ts'
import type { Ledger } from './port.ts'

export class LedgerSilent extends Error {
  override readonly name = 'LedgerSilent'
  constructor(timeoutMs: number) {
    super(`the ledger did not answer within ${timeoutMs} ms`)
  }
}

/** Wraps each method with a deadline. What was asked may take effect all the same. */
export function withDeadline(ledger: Ledger, timeoutMs: number, clock: Clock): Ledger {
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
    admit: (requests, lane) => inTime(ledger.admit(requests, lane)),
    settle: (settlements, counts, leads) => inTime(ledger.settle(settlements, counts, leads)),
    firstStamps: (events) => inTime(ledger.firstStamps(events)),
    summary: () => inTime(ledger.summary()),
    usage: () => inTime(ledger.usage()),
    confirmClock: () => inTime(ledger.confirmClock()),
    lease: (name, holder, ttlMs) => inTime(ledger.lease(name, holder, ttlMs)),
    release: (name, holder) => inTime(ledger.release(name, holder)),
    recall: (name) => inTime(ledger.recall(name)),
    remember: (name, value) => inTime(ledger.remember(name, value)),
    check: () => inTime(ledger.check()),
    pause: (paused) => inTime(ledger.pause(paused)),
    erase: (visitorHash) => inTime(ledger.erase(visitorHash)),
    restate: (units) => inTime(ledger.restate(units)),
    visitor: (visitorHash) => inTime(ledger.visitor(visitorHash)),
    moveOut: (cursor) => inTime(ledger.moveOut(cursor)),
    moveIn: (part) => inTime(ledger.moveIn(part)),
  }
}
