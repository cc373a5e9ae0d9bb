/**
 * Makes a plan: fixes the set, and says beforehand what a run would do. Nothing is done.
 *
 * Guarantee: heads are listed page by page, and the place is kept behind each text of keys, so that a set of any size is
 * made within the bounds of a request and of the runs behind it. What a letter's head does not tell is taken from a
 * sample in which each update of the set has the same chance to be, and called an estimate where that is not all.
 */
import { readDeadKey } from '../../backlog/entry-format.ts'
import { type Backlog, type DeadHead, deadReasons, type KeptDead } from '../../backlog/port.ts'
import type { Clock, Random } from '../../clock.ts'
import { given } from '../../given.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { Limits } from '../../limits.ts'
import { type DeadFilter, wantedBy } from './letters.ts'
import { type Plan, type PlanAction, type Plans, pageKey, pageKeys, planSlots, type StayReason } from './plan.ts'

export interface MakePlanParts {
  readonly backlog: Pick<Backlog, 'deadHeads' | 'readDeads' | 'putText' | 'exchange'>
  readonly ledger: Pick<Ledger, 'visitor'>
  readonly plans: Plans
  readonly clock: Pick<Clock, 'now'>
  readonly random: Pick<Random, 'hex' | 'fraction'>
  readonly retentionMs: number
  readonly limits: Pick<Limits, 'keysPerPlanPage' | 'lettersPerStep'>
}

export interface PlanAsked {
  readonly action: PlanAction
  readonly asNew: boolean
  readonly filter: DeadFilter
  /** Exactly these, in place of what the filter fits. */
  readonly keys?: readonly string[]
}

/** What may still be spent; to be asked before each step. */
export interface Share {
  has(operations?: number): boolean
}

/** A plan may be run for a day; a run may go on for two weeks. */
const planLivesMs = 86_400_000
export const runLivesMs = 14 * 86_400_000
/** Updates whose registers are asked for. */
const sampleSize = 20

export interface MakePlan {
  /** Begins one of a filter, makes one of keys; undefined where as many plans as are kept are under way. */
  begin(asked: PlanAsked): Promise<Plan | undefined>
  /** Goes on with a set that is not whole. */
  goOn(plan: Plan, share: Share): Promise<void>
}

export function createMakePlan(parts: MakePlanParts): MakePlan {
  const { backlog, ledger, plans, clock, random, retentionMs, limits } = parts
  return {
    async begin({ action, asNew, filter, keys }) {
      for (let tries = 0; tries < planSlots; tries++) {
        const place = await plans.newId(random.hex(6))
        if (place === undefined) return undefined
        const plan: Plan = {
          ...{ id: place.id, action, asNew, filter, state: 'planning', expiresMs: clock.now() + planLivesMs },
          ...{ letters: 0, updates: 0, calls: 0, stay: {}, superseded: 0, sampled: 0, sample: [] },
          ...{ pages: 0, page: 0, at: 0, done: 0, failed: 0 },
        }
        // A plan of given keys is saved only when complete: a flush that continued it would add every letter.
        if (keys !== undefined) await ofKeys(plan, [...new Set(keys)])
        const isKept = await plans.begin(plan, place)
        // What no record names: of the one that it took the place of, or its own if another one has the place.
        const left = isKept ? place.before : plan
        if (left !== undefined && left.pages > 0) await backlog.exchange([], pageKeys(left))
        if (isKept) return plan
      }
      return undefined
    },
    goOn,
  }

  async function goOn(plan: Plan, share: Share): Promise<void> {
    const held: string[] = []
    const visitors = new Set<string>()
    while (share.has(3)) {
      const page = await backlog.deadHeads({ wanted: wantedBy(plan.filter), ...given({ cursor: plan.cursor }) })
      for (const item of page.items) {
        // A filter chooses by heads: what has none that can be read is chosen only by all.
        if (item.head === undefined && Object.keys(plan.filter).length > 0) continue
        held.push(item.key)
        count(plan, item.key, item.head, visitors)
      }
      if (page.cursor === undefined) delete plan.cursor
      else plan.cursor = page.cursor
      if (held.length >= limits.keysPerPlanPage || page.cursor === undefined) await keepPage(plan, held.splice(0))
      if (page.cursor !== undefined) continue
      await finish(plan)
      return plans.save(plan)
    }
    // Also where nothing fits so far: the next run goes on behind what this one has seen.
    await keepPage(plan, held)
  }

  async function ofKeys(plan: Plan, keys: readonly string[]): Promise<void> {
    const visitors = new Set<string>()
    const there: string[] = []
    const valid = keys.filter((key) => readDeadKey(key) !== undefined)
    for (let start = 0; start < valid.length; start += limits.lettersPerStep) {
      const items = await backlog.readDeads(valid.slice(start, start + limits.lettersPerStep))
      for (const item of items) {
        there.push(item.key)
        count(plan, item.key, 'dead' in item ? headLike(item) : undefined, visitors)
      }
    }
    await putPage(plan, there)
    await finish(plan)
  }

  /** The text first: a record never names one that is not kept. */
  async function keepPage(plan: Plan, keys: readonly string[]): Promise<void> {
    await putPage(plan, keys)
    await plans.save(plan)
  }

  async function putPage(plan: Plan, keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await backlog.putText(pageKey(plan.id, plan.pages++), keys.join('\n'))
    plan.letters += keys.length
  }

  async function finish(plan: Plan): Promise<void> {
    await lookAtSample(plan)
    plan.state = 'planned'
    plan.expiresMs = clock.now() + planLivesMs
  }

  function count(plan: Plan, key: string, head: DeadHead | undefined, visitors: Set<string>): void {
    if (plan.action === 'drop') return
    const stays = stayByHead(plan, head, clock.now() - retentionMs)
    if (stays !== undefined) {
      plan.stay[stays] = (plan.stay[stays] ?? 0) + 1
      return
    }
    plan.updates++
    const { visitorHash } = head ?? {}
    if (visitorHash === undefined || !visitors.has(visitorHash)) plan.calls++
    if (visitorHash !== undefined) visitors.add(visitorHash)
    if (plan.action === 'replay' && !plan.asNew) draw(plan, key)
  }

  /** Into the sample, with the same chance for each of the updates so far. */
  function draw({ sample = [], updates }: Plan, key: string): void {
    const at = sample.length < sampleSize ? sample.length : Math.floor(random.fraction() * updates)
    if (at < sampleSize) sample[at] = key
  }

  /** How many of its updates are superseded by what Target has. */
  async function lookAtSample(plan: Plan): Promise<void> {
    const { sample = [] } = plan
    for (let start = 0; start < sample.length; start += limits.lettersPerStep)
      for (const item of await backlog.readDeads(sample.slice(start, start + limits.lettersPerStep))) {
        if (!('dead' in item) || item.dead.entry === undefined) continue
        const { visitorHash, attributes, stamp } = item.dead.entry
        const known = new Map((await ledger.visitor(visitorHash)).map(({ name, done }) => [name, done]))
        plan.sampled++
        if (attributes.every(({ name }) => (known.get(name) ?? '') >= stamp)) plan.superseded++
      }
    delete plan.sample
  }
}

/** What its head tells of whether a run can do anything with a letter; undefined where it can. */
function stayByHead({ action, asNew }: Plan, head: DeadHead | undefined, oldestMs: number): StayReason | undefined {
  if (head === undefined || !deadReasons.includes(head.reason)) return 'unreadable'
  if (action === 'remap') return head.visitorHash === undefined ? undefined : 'unfit'
  if (head.visitorHash === undefined) return 'unfit'
  if (asNew) return undefined
  if (head.reason === 'ledger_lost') return 'lost'
  return head.firstSeenMs < oldestMs ? 'too_old' : undefined
}

function headLike({ dead }: KeptDead): DeadHead {
  const { entry, ...head } = dead
  return { ...head, ...given({ visitorHash: entry?.visitorHash }) }
}
