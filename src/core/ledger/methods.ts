/** The methods of a ledger in one list, for whatever stands before one and passes each call on. */
import type { Ledger } from './port.ts'

/** The methods of a ledger in another process. `check` is not one: only the caller knows the witness. */
export type LedgerMethods = Omit<Ledger, 'kind' | 'check'>

/** A record, so that the compiler misses a method that the port has and this has not. */
const listed: Record<keyof LedgerMethods, true> = {
  admit: true,
  cancel: true,
  settle: true,
  firstStamps: true,
  summary: true,
  usage: true,
  series: true,
  look: true,
  confirmClock: true,
  lease: true,
  release: true,
  leaseAndRecall: true,
  rememberAndRelease: true,
  recall: true,
  recallAll: true,
  remember: true,
  rememberFirst: true,
  compareAndSet: true,
  recordAct: true,
  acts: true,
  pause: true,
  closeBreaker: true,
  erase: true,
  restate: true,
  visitor: true,
  history: true,
  moveOut: true,
  moveIn: true,
  restored: true,
}
export const ledgerMethodNames = Object.keys(listed) as readonly (keyof LedgerMethods)[]

type AnyMethod = (...args: readonly unknown[]) => Promise<unknown>

/**
 * Every method of a ledger, each passed on to the same method of another.
 *
 * @param target asked anew at each call
 * @param around what is done with each answer; it resolves to the same
 */
export function delegated(
  target: () => LedgerMethods,
  around: <T>(answer: Promise<T>) => Promise<T> = (answer) => answer,
): LedgerMethods {
  const methods = ledgerMethodNames.map((name): [string, AnyMethod] => [
    name,
    (...args) => {
      // As a method of its object: an RPC stub's work no other way.
      const methodsOf = target() as unknown as Record<string, AnyMethod>
      return around(methodsOf[name]?.(...args) ?? Promise.reject(new TypeError(`the ledger has no ${name}`)))
    },
  ])
  return Object.fromEntries(methods) as unknown as LedgerMethods
}
