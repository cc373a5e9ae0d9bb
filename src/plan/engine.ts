/**
 * Runs traffic through a quota and a relay, step by step on a virtual clock: a run of the flush each minute, then what
 * arrives within the step. Several ways to run a relay see the same traffic beside each other.
 */
import type { Sql } from '../core/store/sql.ts'
import { RelayModel } from './model.ts'
import type { ModelSettings } from './model-shapes.ts'
import { openQuota, type Quota, type QuotaSettings, stepEnd } from './quota.ts'
import type { Take } from './traffic.ts'

export interface Way extends ModelSettings {
  readonly name: string
  readonly quota: QuotaSettings
}

/** What an hour looked like. */
export interface Hour {
  readonly startMs: number
  /** The most units that counted at once. */
  used: number
  /** At its end. */
  entriesWaiting: number
  visitorsWaiting: number
  updates: number
  calls: number
  /** The longest that a profile was behind which had all again in this hour. */
  longestMs: number
}

export interface Ran {
  readonly way: Way
  readonly model: RelayModel
  readonly hours: readonly Hour[]
  /** Calls of live traffic and of replay. */
  readonly liveCalls: number
  readonly replayCalls: number
  /** The most units that counted at once. */
  readonly mostUsed: number
  /** The most updates that arrived within any window: what a call for each would have taken. */
  readonly mostDemanded: number
}

/** How one way stood when the comparison ended. */
export interface Compared {
  readonly name: string
  readonly calls: number
  readonly expired: number
  /** What was still behind then counts by its age. */
  readonly longestMs: number
  readonly p99Ms: number
}

export interface Engine {
  /** Updates, in the order of their times. */
  readonly take: Take
  /** Lets runs go on until nothing waits, or `longestMs` have passed without traffic. */
  end(longestMs: number): {
    readonly ran: Ran
    readonly compared: readonly Compared[]
    readonly comparedMs: number
    /** From the start to the last update. */
    readonly spanMs: number
  }
}

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000]
/** What live traffic may spend in a step, before its first update. */
const unasked = -1

interface Lane {
  readonly way: Way
  readonly model: RelayModel
  readonly quota: Quota
  readonly hours: Hour[]
  room: number
  taken: number
  liveCalls: number
  replayCalls: number
  mostUsed: number
}

export interface EngineParts {
  /** Epoch ms, no later than the first update. */
  readonly startMs: number
  /** How long the ways run beside each other; after that the first goes on alone. */
  readonly compareMs: number
  /** Gives an empty store each time. */
  readonly openSql: () => Sql
  /** Told the time of each step, for progress. */
  readonly onStep?: ((atMs: number) => void) | undefined
}

/** @param ways the first is the one that is asked about */
export function createEngine(ways: readonly Way[], { startMs, compareMs, openSql, onStep }: EngineParts): Engine {
  // A model's times begin with a day, so that 0 is never one of them.
  const originMs = startMs - dayMs
  let lanes: readonly Lane[] = ways.map((way) => ({
    way,
    model: new RelayModel(way),
    quota: openQuota(openSql(), way.quota),
    hours: [],
    ...{ room: 0, taken: 0, liveCalls: 0, replayCalls: 0, mostUsed: 0 },
  }))
  const [first] = lanes
  if (first === undefined) throw new RangeError('a plan needs at least one way to run a relay')
  const { quota: quotaSettings } = first.way
  const demand = createDemand(quotaSettings.quotaWindowMs)
  let [beganMs, endsMs, arrived] = [startMs, startMs, 0]
  let lastMs = startMs
  let compared: { readonly ways: readonly Compared[]; readonly spanMs: number } | undefined
  begin(startMs)

  return {
    take(atMs, visitor, registers, values, count) {
      while (atMs >= endsMs) step()
      arrived++
      lastMs = atMs
      const sinceMs = Math.floor(atMs) - originMs
      for (const lane of lanes) {
        if (lane.room === unasked) lane.room = lane.quota.room('live')
        if (lane.model.arrive(sinceMs, visitor, registers, values, count, lane.taken < lane.room)) lane.taken++
      }
    },
    end(longestMs) {
      const latestMs = endsMs + longestMs
      while (endsMs < latestMs && lanes.some(({ model }) => model.entriesWaiting > 0)) step()
      finish()
      const { ways, spanMs } = compared ?? compare(endsMs)
      first.model.end(endsMs - originMs)
      const { way, model, hours, liveCalls, replayCalls, mostUsed } = first
      return {
        ran: { way, model, hours, liveCalls, replayCalls, mostUsed, mostDemanded: demand.most },
        compared: ways,
        comparedMs: spanMs,
        spanMs: lastMs - startMs,
      }
    },
  }

  /** Notes how the ways stand, and lets the first go on alone. */
  function compare(nowMs: number) {
    const ways = lanes.map(({ way, model, liveCalls, replayCalls }) => ({
      name: way.name,
      calls: liveCalls + replayCalls,
      expired: model.totals.expired,
      longestMs: Math.max(model.delays.longestMs, model.longestOpenMs(nowMs - originMs)),
      p99Ms: model.delays.quantileMs(0.99),
    }))
    compared = { ways, spanMs: Math.min(nowMs, lastMs) - startMs }
    lanes = lanes.slice(0, 1)
    return compared
  }

  function step(): void {
    finish()
    if (compared === undefined && endsMs - startMs >= compareMs) compare(endsMs)
    begin(endsMs)
  }

  function begin(atMs: number): void {
    beganMs = atMs
    arrived = 0
    onStep?.(atMs)
    for (const lane of lanes) {
      const { quota, model } = lane
      const isNewHour = atMs % hourMs === 0 || lane.hours.length === 0
      if (isNewHour)
        lane.hours.push({
          ...{ startMs: atMs, used: 0, entriesWaiting: 0, visitorsWaiting: 0, updates: 0, calls: 0, longestMs: 0 },
        })
      quota.begin(atMs)
      if (atMs % minuteMs === 0 && model.entriesWaiting > 0) {
        const spent = model.flush(atMs - originMs, quota.room('replay'))
        quota.spend('replay', spent)
        lane.replayCalls += spent
        const hour = lane.hours[lane.hours.length - 1]
        if (hour !== undefined) hour.calls += spent
      }
      // Each hour is looked at once at least.
      lane.room = isNewHour ? quota.room('live') : unasked
      lane.taken = 0
    }
    endsMs = stepEnd(atMs, quotaSettings, minuteMs)
  }

  function finish(): void {
    demand.add(beganMs, arrived)
    for (const lane of lanes) {
      const { quota, model } = lane
      quota.spend('live', lane.taken)
      lane.liveCalls += lane.taken
      lane.mostUsed = Math.max(lane.mostUsed, quota.used)
      const hour = lane.hours[lane.hours.length - 1]
      if (hour !== undefined) {
        hour.used = Math.max(hour.used, quota.used)
        hour.calls += lane.taken
        hour.updates += arrived
        hour.entriesWaiting = model.entriesWaiting
        hour.visitorsWaiting = model.visitorsWaiting
        hour.longestMs = Math.max(hour.longestMs, model.delays.takeLongest())
      }
      quota.end()
    }
  }
}

/** The most that arrived within a window, step by step. */
function createDemand(windowMs: number) {
  const steps: { readonly atMs: number; readonly count: number }[] = []
  let [oldest, within, most] = [0, 0, 0]
  return {
    add(atMs: number, count: number) {
      if (count === 0) return
      steps.push({ atMs, count })
      within += count
      for (let step = steps[oldest]; step !== undefined && step.atMs <= atMs - windowMs; step = steps[++oldest])
        within -= step.count
      most = Math.max(most, within)
    },
    get most() {
      return most
    },
  }
}
