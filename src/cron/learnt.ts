/**
 * What the platform was seen to allow one run. How much that is depends on the plan, on the limits in wrangler.toml and
 * on which page of its documentation is right: a run finds out, and the next ones end before.
 */
import type { FlushReport } from './report.ts'

export interface Learnt {
  /** Operations on the backlog's store, and calls to Target, after which the platform refused one more. */
  operations?: number | undefined
  calls?: number | undefined
  /** When, epoch ms; 0 where nothing is known. */
  atMs: number
}

/** Then a run tries again: limits are raised, and a bug of a day must not bind for ever. */
const knownForMs = 86_400_000
/** What a run takes of what it was once given: the rest is for its duties, which ask the store, too. */
const operationsShare = 0.9
/** The ledger's requests may count as calls do. */
const callsShare = 0.75
/** With less a run does not get past a page. */
const leastOperations = 40
/** What was refused at once says nothing of how much there is as a rule. */
const leastCalls = 10

/** Forgets what is too old, also if the clock was set back. */
export function forgetOld(learnt: Learnt, nowMs: number): void {
  if (Math.abs(nowMs - learnt.atMs) < knownForMs) return
  learnt.operations = undefined
  learnt.calls = undefined
  learnt.atMs = 0
}

/** Of what another run knows, what is less than what is known here. */
export function learnFrom(
  learnt: Learnt,
  { platformOperations, platformCalls }: Pick<FlushReport, 'platformOperations' | 'platformCalls'>,
  nowMs: number,
): void {
  const { operations = Number.POSITIVE_INFINITY, calls = Number.POSITIVE_INFINITY } = learnt
  const fewer = {
    ...(platformOperations !== undefined && platformOperations < operations ? { operations: platformOperations } : {}),
    ...(platformCalls !== undefined && platformCalls < calls ? { calls: platformCalls } : {}),
  }
  if (Object.keys(fewer).length > 0) Object.assign(learnt, fewer, { atMs: nowMs })
}

export function operationsAllowed({ operations }: Learnt): number {
  return operations === undefined
    ? Number.POSITIVE_INFINITY
    : Math.max(leastOperations, Math.floor(operations * operationsShare))
}

export function callsAllowed({ calls }: Learnt): number {
  return calls === undefined ? Number.POSITIVE_INFINITY : Math.max(leastCalls, Math.floor(calls * callsShare))
}

/** Behind the place of a run in its memo; empty where nothing is known. */
export function writeLearnt({ operations, calls, atMs }: Learnt): string {
  return atMs === 0 ? '' : `;${operations ?? ''},${calls ?? ''},${atMs}`
}

/** Nothing where another version wrote it. */
export function readLearnt(text: string): Learnt {
  const match = /^(\d{0,9}),(\d{0,9}),(\d{1,15})$/.exec(text)
  const number = (digits: string | undefined) => (digits === undefined || digits === '' ? undefined : Number(digits))
  return { operations: number(match?.[1]), calls: number(match?.[2]), atMs: number(match?.[3]) ?? 0 }
}
