/**
 * Plans for dead letters, as they are kept: a small record in the ledger, and the keys of the set in texts of the store.
 *
 * Guarantee: the set is the keys that were listed when the plan was made: what is buried later is in none, whatever a
 * clock says. Plans are kept in a fixed number of memos. A record is saved by compare-and-set, so a save that arrives
 * late cannot undo a newer one.
 * Known hole: a process that dies after replacing an older plan, and before removing its texts, leaves them in the store.
 */
import { planPrefix } from '../../backlog/port.ts'
import { given } from '../../given.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { DeadFilter } from './letters.ts'

export const planActions = ['replay', 'remap', 'drop'] as const
export type PlanAction = (typeof planActions)[number]

/** Why a letter stays where it is. */
export type StayReason =
  /** Older than the retention, or from before a loss of the ledger: it can go only as new. */
  | 'too_old'
  | 'lost'
  /** Its action is not for it: an event to be mapped, or an update. */
  | 'unfit'
  | 'unmappable'
  | 'unreadable'

export interface Plan {
  readonly id: string
  readonly action: PlanAction
  /** What goes is given the time of the run in place of its own. */
  readonly asNew: boolean
  /** `planning`: the set is not whole yet. */
  state: 'planning' | 'planned' | 'running' | 'done' | 'cancelled'
  /** Until then it may be run; once it runs, until then it goes on. Epoch ms. */
  expiresMs: number
  runMs?: number
  /** The list that the set is made from, and where it goes on. */
  readonly filter: DeadFilter
  cursor?: string
  letters: number
  /** Of the letters, by their heads. */
  updates: number
  calls: number
  stay: Partial<Record<StayReason, number>>
  /** Of `sampled` updates, how many a newer value supersedes. */
  superseded: number
  sampled: number
  /** Keys of those that will be looked at, while the set is made. */
  sample?: string[]
  /** Texts that hold the set, and where in them the run goes on. */
  pages: number
  page: number
  at: number
  done: number
  failed: number
}

/** Plans that are kept at a time. */
export const planSlots = 4
const memoOf = (slot: number) => `dead-plan-${slot}`
const planMemos = Array.from({ length: planSlots }, (_, slot) => memoOf(slot))
const cancelMemoOf = (slot: number) => `dead-plan-${slot}-cancelled`
const runMemoOf = (slot: number) => `dead-plan-${slot}-run`
const runMemos = Array.from({ length: planSlots }, (_, slot) => runMemoOf(slot))
/** One at a time makes and runs plans. What an operator asks for is kept in a memo of its own, which nobody else writes. */
export const planLease = 'dead-plans'
const hexDigits = 12

export interface NewId {
  readonly id: string
  readonly before?: Plan
  /** What was kept in its place. */
  readonly text?: string
}

/** Another one was at work on it since: what this one has is old. */
export class PlanChanged extends Error {
  override readonly name = 'PlanChanged'
}

export interface Plans {
  /**
   * The id of a new plan, and the plan that it takes the place of: one that is over, else the oldest that was never
   * run. Undefined where all are at work.
   */
  newId(hex: string): Promise<NewId | undefined>
  find(id: string): Promise<Plan | undefined>
  /** False where another one has taken the place meanwhile. */
  begin(plan: Plan, place: NewId): Promise<boolean>
  /** Rejects with `PlanChanged` where it is not as this one found or saved it. */
  save(plan: Plan): Promise<void>
  all(): Promise<readonly Plan[]>
  cancel(id: string): Promise<void>
  isCancelled(id: string): Promise<boolean>
  /** The run begins when the holder of the lease gets to this plan. */
  askRun(id: string): Promise<void>
  isRunAsked(id: string): Promise<boolean>
}

/** All reject where the ledger does not answer. */
export function createPlans(ledger: Pick<Ledger, 'recall' | 'recallAll' | 'remember' | 'compareAndSet'>): Plans {
  /** As each was found, or saved last: a save that lands late must not undo what came after it. */
  const texts = new WeakMap<Plan, string>()
  const planOf = (text: string | undefined): Plan | undefined => {
    if (text === undefined) return undefined
    const plan = JSON.parse(text) as Plan
    texts.set(plan, text)
    return plan
  }
  const read = async (slot: number) => planOf(await ledger.recall(memoOf(slot)))
  const readAll = async () => (await ledger.recallAll(planMemos)).map(planOf)
  const set = async (plan: Plan, before: string | undefined) => {
    const text = JSON.stringify(plan)
    const isSet = await ledger.compareAndSet(memoOf(slotOf(plan.id) ?? 0), before, text)
    if (isSet) texts.set(plan, text)
    return isSet
  }
  return {
    async newId(hex) {
      const kept = await readAll()
      const at = (slot: number) => {
        const before = kept[slot]
        const text = before === undefined ? undefined : texts.get(before)
        return { id: `${slot}${hex.slice(0, hexDigits)}`, ...given({ text }) }
      }
      const free = kept.findIndex((plan) => plan === undefined || isOver(plan))
      if (free !== -1) return at(free)
      const asked = await ledger.recallAll(runMemos)
      const [oldest] = kept
        .flatMap((plan, slot) => (plan?.state === 'planned' && asked[slot] !== plan.id ? plan : []))
        .sort((a, b) => a.expiresMs - b.expiresMs)
      return oldest === undefined ? undefined : { ...at(slotOf(oldest.id) ?? 0), before: oldest }
    },
    async find(id) {
      const slot = slotOf(id)
      const plan = slot === undefined ? undefined : await read(slot)
      return plan?.id === id ? plan : undefined
    },
    begin: (plan, { text }) => set(plan, text),
    async save(plan) {
      if (!(await set(plan, texts.get(plan)))) throw new PlanChanged(`plan ${plan.id} is not as it was found`)
    },
    async all() {
      return (await readAll()).flatMap((plan) => plan ?? [])
    },
    cancel: (id) => ledger.remember(cancelMemoOf(slotOf(id) ?? 0), id),
    isCancelled: async (id) => (await ledger.recall(cancelMemoOf(slotOf(id) ?? 0))) === id,
    askRun: (id) => ledger.remember(runMemoOf(slotOf(id) ?? 0), id),
    isRunAsked: async (id) => (await ledger.recall(runMemoOf(slotOf(id) ?? 0))) === id,
  }
}

/** Nothing is left of it but its record. */
export function isOver({ state, page, pages }: Plan): boolean {
  return (state === 'done' || state === 'cancelled') && page >= pages
}

export function pageKey(id: string, page: number): string {
  return `${planPrefix}${id}/${page}`
}

/** The texts that may be left of it: of the one before its place too. */
export function pageKeys({ id, page, pages }: Plan): readonly string[] {
  const first = Math.max(0, page - 1)
  return Array.from({ length: pages - first }, (_, at) => pageKey(id, first + at))
}

function slotOf(id: string): number | undefined {
  const slot = Number(/^(\d)[0-9a-f]{12}$/.exec(id)?.[1] ?? Number.NaN)
  return slot < planSlots ? slot : undefined
}
