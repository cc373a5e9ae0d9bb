/** What an operator can do with dead letters, put together. */
import type { Backlog } from '../../backlog/port.ts'
import type { Clock, Random } from '../../clock.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { Limits } from '../../limits.ts'
import type { Hasher } from '../../update/hash.ts'
import type { Visitor } from '../../update/update.ts'
import { createLetters, type Letters } from './letters.ts'
import { createMakePlan, type PlanAsked, runLivesMs, type Share } from './make-plan.ts'
import { createPlans, isOver, type Plan, PlanChanged, pageKeys, planLease } from './plan.ts'
import { createRunPlan, type RunPlanParts } from './run-plan.ts'
import { createTransfer, type Transfer } from './transfer.ts'

export interface DeadOffice extends Letters, Transfer {
  /** The keyed hash of a visitor. */
  hashOf(visitor: Visitor): Promise<string>
  /** Undefined where as many plans as are kept are at work. Nothing of the letters is touched. */
  plan(asked: PlanAsked): Promise<Plan | undefined>
  findPlan(id: string): Promise<Plan | undefined>
  /** Those that are kept: under way, or not forgotten yet. */
  plans(): Promise<readonly Plan[]>
  /** Begins what was planned, and does a little of it at once; undefined where there is no such plan. */
  run(id: string): Promise<Plan | undefined>
  /** What is done stays done. */
  cancel(id: string): Promise<Plan | undefined>
  /** Goes on with plans that are under way. Rejects where a store does not answer. */
  work(share: Share): Promise<void>
}

export interface DeadOfficeParts {
  readonly hasher: Pick<Hasher, 'visitor'>
  readonly backlog: Backlog
  readonly ledger: Pick<
    Ledger,
    'recall' | 'recallAll' | 'remember' | 'compareAndSet' | 'lease' | 'release' | 'visitor' | 'summary'
  >
  readonly clock: Pick<Clock, 'now'>
  readonly random: Pick<Random, 'hex' | 'fraction'>
  readonly map: RunPlanParts['map']
  readonly retentionMs: number
  /** Operations on the store that one request may ask for. */
  readonly maxOperations: number
  readonly limits: Limits
}

const leaseMs = 90_000
/** What a request that begins a run does of it at once. */
const atOnceMs = 5_000

export function createDeadOffice(parts: DeadOfficeParts): DeadOffice {
  const { hasher, backlog, ledger, clock, random, maxOperations, limits } = parts
  const plans = createPlans(ledger)
  const made = createMakePlan({ ...parts, plans })
  const runPlan = createRunPlan({ ...parts, plans })
  const hashOf = (visitor: Visitor) => hasher.visitor(visitor)

  return {
    ...createLetters(parts),
    ...createTransfer({ backlog, clock, maxOperations, limits, hashOf }),
    hashOf,
    async plan(asked) {
      const plan = await made.begin(asked)
      if (plan?.state !== 'planning') return plan
      await work(shareOf(limits.requestMs, maxOperations))
      return (await plans.find(plan.id)) ?? plan
    },
    findPlan: (id) => plans.find(id),
    plans: () => plans.all(),
    async run(id) {
      const plan = await plans.find(id)
      if (plan?.state !== 'planned' || plan.expiresMs <= clock.now()) return plan
      await plans.askRun(id)
      await work(shareOf(atOnceMs, Math.min(maxOperations, limits.dutyOperations)))
      const after = await plans.find(id)
      // Another one is at work on plans: it begins behind that.
      return after?.state === 'planned' ? { ...after, state: 'running' } : after
    },
    async cancel(id) {
      const plan = await plans.find(id)
      if (plan === undefined || isOver(plan)) return plan
      await plans.cancel(id)
      await work(shareOf(atOnceMs, limits.dutyOperations))
      return (await plans.find(id)) ?? plan
    },
    work,
  }

  async function work(share: Share): Promise<void> {
    const open = (await plans.all()).filter((plan) => !isOver(plan))
    if (open.length === 0) return
    const holder = random.hex(12)
    if (!(await ledger.lease(planLease, holder, leaseMs))) return
    try {
      // Another one may have worked on them until now.
      for (const { id } of open) {
        const plan = await plans.find(id)
        if (plan !== undefined && !isOver(plan)) await workOn(plan, share)
      }
    } catch (error) {
      // Another worker has changed the plan, and continues it.
      if (!(error instanceof PlanChanged)) throw error
    } finally {
      await ledger.release(planLease, holder)
    }
  }

  async function workOn(plan: Plan, share: Share): Promise<void> {
    if (plan.state !== 'done' && (plan.expiresMs <= clock.now() || (await plans.isCancelled(plan.id)))) {
      plan.state = 'cancelled'
      await plans.save(plan)
    }
    if (plan.state === 'planning') await made.goOn(plan, share)
    if (plan.state === 'planned' && (await plans.isRunAsked(plan.id))) {
      const runMs = clock.now()
      Object.assign(plan, { state: 'running', stay: {}, runMs, expiresMs: runMs + runLivesMs } satisfies Partial<Plan>)
      await plans.save(plan)
    }
    if (plan.state === 'running') await runPlan(plan, share)
    if (plan.state === 'cancelled' && share.has(plan.pages)) {
      await backlog.exchange([], pageKeys(plan))
      plan.page = plan.pages
      await plans.save(plan)
    }
  }

  function shareOf(forMs: number, operations: number): Share {
    const [endMs, last] = [clock.now() + forMs, backlog.operations + operations]
    return { has: (more = 0) => clock.now() < endMs && backlog.operations + more <= last }
  }
}
