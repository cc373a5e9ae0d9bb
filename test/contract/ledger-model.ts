/**
 * The ledger in its plainest form: every unit in a log, every register and event in a map, nothing indexed, nothing
 * removed but the units that a ledger may forget. It follows docs/rules.md and shares no rule with `src`, so that the
 * ledgers can be compared with it. Slow on purpose.
 */

import { ClockJumped } from '../../src/core/ledger/errors.ts'
import type { Admission, AdmitRequest, Counters, Ledger, Settlement, Summary } from '../../src/core/ledger/port.ts'
import type { BreakerCause, Health, Signal } from '../../src/core/ledger/rules/health.ts'
import type { Verdict } from '../../src/core/ledger/rules/register.ts'
import type { LedgerSettings } from '../../src/core/ledger/rules/settings.ts'
import { defaultLimits, type Limits } from '../../src/core/limits.ts'
import type { Lane } from '../../src/core/update/update.ts'
import { type HistoryModel, historyModel } from './history-model.ts'

export interface ModelLedger extends Ledger {
  /** The most units (admitted and not given back) that any rolling window has held so far, by the clock's own readings. */
  mostInAnyWindow(): number
  /** How far the clock was seen to go back, ms. No ledger can guarantee a window if its clock is off by more than the slack. */
  steppedBackMs(): number
  /** Uses other settings from now on. */
  restart(settings: LedgerSettings): void
  restarted(): boolean
}

/** One granted unit; `bucket` is the last millisecond at which it may have been granted. */
interface Unit {
  readonly admittedMs: number
  readonly bucket: number
}

/** What one account has spent. */
interface Account {
  units: Unit[]
  newest: number
  seenMs: number
  /** Units from before this time may be gone. */
  forgottenMs: number
}

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

interface ModelRegister {
  done?: string | undefined
  open?: string | undefined
  at: number
  /** How long it may be in flight, by the settings it was admitted under. */
  life?: number
  bucket?: number
  token?: string | undefined
  /** The stamps whose outcome is not known, newest first. */
  again?: boolean
  /** What was delivered last, where its attempt had a hash: under which stamp, and when it was admitted. */
  value?: { stamp: string; hash: string; at: number } | undefined
  below?: readonly string[]
}

export function modelLedger(
  first: LedgerSettings,
  clock: { now: () => number },
  { denialsThatJudge, denialsLastMs }: Pick<Limits, 'denialsThatJudge' | 'denialsLastMs'> = defaultLimits,
): ModelLedger {
  let settings = first
  const ceilings = (): Record<Lane, number> => ({
    replay: settings.quotaLimit,
    high: Math.floor(settings.quotaLimit * (1 - settings.replayReserve / 2)),
    live: Math.floor(settings.quotaLimit * (1 - settings.replayReserve)),
    bulk: Math.floor(settings.quotaLimit * Math.max((1 - settings.replayReserve) / 2, 1 - 4 * settings.replayReserve)),
  })
  const newAccount = (): Account => ({ units: [], newest: 0, seenMs: 0, forgottenMs: 0 })
  const whole = newAccount()
  /** All units ever granted and not given back, at the times of the clock. */
  let granted: Unit[] = []
  let latestMs = 0
  let behindMs = 0
  let confirmedMs = 0
  /** The retentions and when each was set, latest last. */
  const retentions: { sinceMs: number; retentionMs: number }[] = [{ sinceMs: 0, retentionMs: first.retentionMs }]
  const registers = new Map<string, Map<string, ModelRegister>>()
  const backoffs = new Map<string, { attempts: number; notBeforeMs: number }>()
  const cancelled = new Set<string>()
  const denials = new Map<string, { count: number; sinceMs: number }>()
  const events = new Map<string, { stamp: string; at: number; done: boolean; rejected?: boolean }>()
  /** The last 14 characters of a stamp identify the content; an older version wrote those of the event's key. */
  const isAnother = (seen: { stamp: string } | undefined, event: string, stamp: string) =>
    seen !== undefined &&
    seen.stamp !== '' &&
    ![stamp, event].map((one) => one.slice(-14)).includes(seen.stamp.slice(-14))
  /** What was counted, and when. */
  const figures: { line: string; name: string; add: number; ms: number }[] = []
  const leases = new Map<string, { holder: string; untilMs: number }>()
  const memos = new Map<string, string>()
  const acts: string[] = []
  const erasures = new Map<string, number>()
  const histories = new Map<string, HistoryModel>()
  const leadsOf = new Map<string, { ms: number; atMs: number }>()
  const shares = new Map<string, Account>()
  const well = {
    failures: 0,
    failedTraits: [],
    refusals: 0,
    refused: [],
    refusedTraits: [],
    denied: [],
    deniedTraits: [],
  }
  let health: Health = { paused: false, saidYes: false, ...well }

  /** At most eight are kept; beyond that the seventh stands for all older ones. */
  const stillOpen = (stamps: readonly string[], done: string | undefined) => {
    const open = stamps.filter((stamp) => done === undefined || stamp > done)
    return open.length <= 8 ? open : [...open.slice(0, 7), open[6] ?? '']
  }
  const timeOf = (stamp: string) => Number.parseInt(stamp.slice(1, 14), 10)
  const lastOf = (ms: number) => (Math.floor(ms / settings.quotaBucketMs) + 1) * settings.quotaBucketMs - 1
  const leavesMs = ({ bucket }: Unit) => bucket + 1 + settings.quotaWindowMs + settings.quotaSlackMs
  const counted = (account: Account, ms: number) => account.units.filter((unit) => leavesMs(unit) > ms)
  const add = (account: Account, count: number, now: number) => {
    account.newest = Math.max(account.newest, lastOf(now))
    account.seenMs = Math.max(account.seenMs, now)
    const units = Array.from({ length: count }, () => ({ admittedMs: now, bucket: account.newest }))
    account.units.push(...units)
    return units
  }
  /** Removes what ceased to count a window ago, or five minutes ago if that is longer. */
  const forget = (account: Account, now: number) => {
    const beforeMs =
      now - settings.quotaWindowMs - settings.quotaSlackMs - Math.max(settings.quotaWindowMs, 5 * minuteMs)
    for (const { bucket } of account.units)
      if (bucket < beforeMs) account.forgottenMs = Math.max(account.forgottenMs, bucket + 1)
    account.units = account.units.filter(({ bucket }) => bucket >= beforeMs)
  }
  const redate = (account: Account, now: number) => {
    account.units = account.units.map((unit) => (unit.bucket > lastOf(now) ? { ...unit, bucket: lastOf(now) } : unit))
    account.newest = Math.min(account.newest, lastOf(now))
    account.seenMs = now
  }
  /**
   * With pacing: when so many of the span's units have left it, oldest first, that there is room, or none is left;
   * undefined where there is room now. A span is the whole buckets of a 24th of the window, but at least one.
   */
  const pacedUntil = (units: number, ceiling: number, now: number): number | undefined => {
    const { quotaLimit, quotaBucketMs, quotaWindowMs } = settings
    const span = Math.max(1, Math.floor(quotaWindowMs / 24 / quotaBucketMs)) * quotaBucketMs
    const live = counted(whole, now)
    const inSpan = (unit: Unit, ms: number) => unit.bucket > lastOf(ms) - span
    const recent = live.filter((unit) => inSpan(unit, now)).sort((a, b) => a.bucket - b.bucket)
    for (let left = 0; left <= recent.length; left++) {
      const stay = recent.length - left
      const free = quotaLimit - (live.length - stay)
      if (stay > 0 && (stay + units) * 24 * quotaLimit > ceiling * Math.max(quotaLimit, 4 * free)) continue
      const last = recent[left - 1]
      if (last === undefined) return undefined
      let ms = Math.ceil(now / quotaBucketMs) * quotaBucketMs
      while (inSpan(last, ms)) ms += quotaBucketMs
      return ms
    }
    return undefined
  }
  const giveBackTo = (account: Account, bucket: number, count: number) => {
    for (let unit = 0; unit < count; unit++) {
      const index = account.units.findIndex((one) => one.bucket === bucket)
      if (index >= 0) account.units = account.units.toSpliced(index, 1)
    }
  }
  const shareOf = (name: string, now: number) => {
    const account = shares.get(name) ?? newAccount()
    shares.set(name, account)
    if (account.seenMs > now + 5 * minuteMs) redate(account, now)
    return account
  }
  /** The shortest retention that was set at the time of the stamp or later. */
  const retentionOf = (timeMs: number) =>
    Math.min(
      ...retentions
        .filter((_, index) => (retentions[index + 1]?.sinceMs ?? Number.POSITIVE_INFINITY) > timeMs)
        .map(({ retentionMs }) => retentionMs),
    )
  /** Two lifetimes after its newest stamp, a register no longer counts. */
  const counting = (known: Map<string, ModelRegister>, name: string): ModelRegister => {
    const r = known.get(name) ?? { at: 0 }
    const times = [r.done, r.open].filter((stamp) => stamp !== undefined).map(timeOf)
    return Math.max(0, ...times) < jump().now - 2 * (settings.retentionMs + settings.quotaSlackMs + settings.inFlightMs)
      ? { at: 0 }
      : r
  }
  const registersOf = (visitor: string) => {
    const known = registers.get(visitor) ?? new Map<string, ModelRegister>()
    registers.set(visitor, known)
    return known
  }

  const isInFlight = (atMs: number, now: number, lifeMs = settings.inFlightMs) =>
    now - atMs <= lifeMs && atMs <= now + 5 * minuteMs

  function verdictOf(
    r: ModelRegister,
    { stamp, hash }: { stamp: string; hash?: string | undefined },
    lane: Lane,
    visitor: string,
    now: number,
  ): Verdict {
    const older = timeOf(stamp) < now - retentionOf(timeOf(stamp))
    if (older && r.open !== undefined && r.open > stamp) return 'overtaken'
    if (older) return 'expired'
    if (r.done === stamp) return 'delivered'
    if (r.done !== undefined && r.done > stamp) return 'superseded'
    if (timeOf(stamp) > now + 5 * minuteMs || (erasures.get(visitor) ?? 0) > now + 5 * minuteMs) return 'ahead'
    if (Number.parseInt(stamp.slice(14, 27), 10) <= (erasures.get(visitor) ?? 0)) return 'erased'
    if (r.open !== undefined && r.open > stamp) return 'waits'
    if (r.open !== undefined && isInFlight(r.at, now, r.life)) return 'contended'
    if (lane === 'replay' && (backoffs.get(visitor)?.notBeforeMs ?? 0) > now) return 'backoff'
    const { value } = r
    const hasIt = value !== undefined && r.open === undefined && value.stamp === r.done && value.hash === hash
    const isFresh =
      value !== undefined &&
      value.at >= now - retentionOf(timeOf(stamp)) &&
      value.at <= now + 5 * minuteMs &&
      value.at > (erasures.get(visitor) ?? 0)
    return hasIt && isFresh ? 'unchanged' : 'send'
  }

  function admitOne(request: AdmitRequest, lane: Lane, now: number): Admission {
    let stamps = request.attributes.map(({ stamp }) => stamp)
    let firstStamp: string | undefined
    if (request.event !== undefined) {
      const own = stamps[0] ?? ''
      const kept = events.get(request.event)
      const another = isAnother(kept, request.event, own)
      if (another && !kept?.rejected) return { event: 'id_reused' }
      const seen = another ? undefined : kept
      if (seen?.done) return { event: seen.rejected ? 'rejected' : 'duplicate' }
      if (seen !== undefined && isInFlight(seen.at, now)) return { event: 'in_flight' }
      const first = seen?.stamp ?? own
      events.set(request.event, { stamp: first, at: now, done: false })
      if (first !== own) firstStamp = first
      stamps = stamps.map(() => first)
    }
    const known = registersOf(request.visitorHash)
    const registerOf = (index: number): ModelRegister => counting(known, request.attributes[index]?.name ?? '')
    let verdicts = stamps.map((stamp, index) =>
      verdictOf(registerOf(index), { stamp, hash: request.attributes[index]?.hash }, lane, request.visitorHash, now),
    )
    stamps.forEach((stamp, index) => {
      const { value, ...r } = registerOf(index)
      if (verdicts[index] === 'unchanged' && value !== undefined)
        known.set(request.attributes[index]?.name ?? '', { ...r, done: stamp, value: { ...value, stamp } })
    })
    const answer = { event: 'open' as const, attempts: backoffs.get(request.visitorHash)?.attempts ?? 0 }
    const first = firstStamp === undefined ? {} : { firstStamp }
    if (!verdicts.includes('send')) return { ...answer, ...first, verdicts }

    const { breaker } = health
    const about = aboutOf(
      request.visitorHash,
      request.sources,
      request.attributes.filter((_, index) => verdicts[index] === 'send').map(({ name }) => name),
    )
    const heldBack = breaker?.traits.every((trait) => about.includes(trait)) === true
    const mayProbe =
      breaker !== undefined && now >= breaker.untilMs && (answer.attempts === 0 || request.lastResort === true)
    const later = request.firstTry === true && answer.attempts > 0
    const closed =
      request.hold === true
        ? 'held'
        : later
          ? 'backoff'
          : health.paused
            ? 'paused'
            : heldBack && !mayProbe
              ? 'shut'
              : undefined
    if (closed !== undefined)
      return {
        ...answer,
        ...first,
        verdicts: verdicts.map((verdict) => (verdict === 'send' ? closed : verdict)),
        ...(closed === 'backoff' ? { failedBefore: true } : {}),
        ...(closed === 'shut' ? { shutTraits: breaker?.traits ?? [] } : {}),
      }
    const { source } = request
    const own = source === undefined ? undefined : shareOf(source.name, now)
    const over = source !== undefined && own !== undefined && counted(own, now).length + request.units > source.units
    const ceiling = over ? Math.min(ceilings().bulk, ceilings()[lane]) : ceilings()[lane]
    if (counted(whole, now).length + request.units > ceiling) {
      verdicts = verdicts.map((verdict) => (verdict === 'send' ? 'quota' : verdict))
      const times = whole.units.map(leavesMs).sort((a, b) => a - b)
      const retryAtMs =
        request.units > ceiling
          ? undefined
          : times.find((ms) => ms > now && counted(whole, ms).length + request.units <= ceiling)
      return { ...answer, ...first, verdicts, ...(retryAtMs === undefined ? {} : { retryAtMs }) }
    }
    const pacedUntilMs = settings.pace === 'even' ? pacedUntil(request.units, ceiling, now) : undefined
    if (pacedUntilMs !== undefined) {
      verdicts = verdicts.map((verdict) => (verdict === 'send' ? 'quota' : verdict))
      return { ...answer, ...first, verdicts, retryAtMs: pacedUntilMs }
    }
    const mine = denials.get(request.visitorHash)
    const judged =
      lane === 'replay' &&
      mine !== undefined &&
      mine.count + 1 >= denialsThatJudge &&
      now - mine.sinceMs >= denialsLastMs &&
      othersAreDelivered(request.visitorHash)
    granted.push(...add(whole, request.units, now))
    if (own !== undefined) {
      add(own, request.units, now)
      forget(own, now)
    }
    if (breaker !== undefined && heldBack) health = { ...health, breaker: { ...breaker, untilMs: now + 30_000 } }
    stamps.forEach((stamp, index) => {
      if (verdicts[index] !== 'send') return
      const r = registerOf(index)
      const again = r.open === stamp
      const older = again ? (r.below ?? []) : [...(r.open === undefined ? [] : [r.open]), ...(r.below ?? [])]
      known.set(request.attributes[index]?.name ?? '', {
        done: r.done,
        open: stamp,
        at: now,
        life: settings.inFlightMs,
        bucket: whole.newest,
        token: request.token,
        again,
        below: stillOpen(older, r.done),
      })
    })
    return {
      ...answer,
      ...first,
      verdicts,
      bucket: whole.newest,
      ...(breaker?.cause === 'systemic' || !health.saidYes ? { systemic: true } : {}),
      ...(breaker !== undefined && heldBack ? { probe: breaker.cause } : {}),
      ...(judged ? { lastTry: true as const } : {}),
    }
  }

  /** Whether another visitor was delivered since this one was last denied, and the breaker is closed. */
  function othersAreDelivered(visitor: string): boolean {
    return health.breaker === undefined && !health.denied.includes(visitor)
  }

  function settleOne(settlement: Settlement, now: number): void {
    if (settlement.note !== undefined) {
      const line = histories.get(settlement.visitorHash) ?? historyModel()
      histories.set(settlement.visitorHash, line)
      line.note(settlement.note, erasures.get(settlement.visitorHash) ?? 0, now)
    }
    const { visitorHash, token, attributes, eventDone, giveBack, backoff, signal, probe } = settlement
    const about = aboutOf(
      visitorHash,
      settlement.sources,
      attributes.map(({ name }) => name),
    )
    if (signal === 'wrong' && settlement.judged !== true) {
      const { count, sinceMs } = denials.get(visitorHash) ?? { count: 0, sinceMs: now }
      if (othersAreDelivered(visitorHash)) denials.set(visitorHash, { count: count + 1, sinceMs })
    } else if (signal !== undefined) denials.delete(visitorHash)
    if (signal !== undefined)
      hear(signal, visitorHash, about, (backoffs.get(visitorHash)?.attempts ?? 0) > 0, probe === true, now)
    const known = registersOf(visitorHash)
    let closed = false
    for (const { name, stamp, outcome, hash } of attributes) {
      const r = counting(known, name)
      known.set(name, r)
      const mine = r.open !== undefined && r.token === token
      if (outcome === 'delivered' && (r.done === undefined || stamp > r.done)) r.done = stamp
      if (outcome === 'unknown' || !mine) continue
      closed = true
      const left =
        outcome === 'delivered'
          ? []
          : [...(outcome === 'unsent' && r.again === true ? [r.open ?? ''] : []), ...(r.below ?? [])]
      const hashed = outcome === 'delivered' && hash !== undefined && r.done === stamp
      known.set(name, {
        done: r.done,
        open: left[0],
        at: 0,
        below: stillOpen(left.slice(1), r.done),
        ...(hashed ? { value: { stamp, hash, at: r.at } } : {}),
      })
    }
    if (backoff !== undefined)
      backoffs.set(visitorHash, { attempts: backoff.attempts, notBeforeMs: now + backoff.waitMs })
    if (attributes.some(({ outcome }) => outcome === 'delivered')) backoffs.delete(visitorHash)
    if (closed && giveBack !== undefined) {
      const back = whole.units.filter(({ bucket }) => bucket === giveBack.bucket).slice(0, giveBack.units)
      granted = granted.filter((unit) => !back.includes(unit))
      giveBackTo(whole, giveBack.bucket, giveBack.units)
      if (giveBack.source !== undefined) giveBackTo(shareOf(giveBack.source, now), giveBack.bucket, giveBack.units)
    }
    if (eventDone !== undefined) {
      const seen = events.get(eventDone)
      events.set(eventDone, {
        stamp: seen?.stamp ?? attributes[0]?.stamp ?? '',
        at: seen?.at ?? now,
        done: true,
        rejected: settlement.eventRejected === true,
      })
    }
  }

  function aboutOf(visitor: string, sources: readonly string[] = [], names: readonly string[] = []): readonly string[] {
    return [`v:${visitor}`, ...sources.map((source) => `s:${source}`), ...names.map((name) => `a:${name}`)]
  }

  /** What a signal says about the health of Target. */
  function hear(
    signal: Signal,
    visitor: string,
    about: readonly string[],
    failedBefore: boolean,
    probe: boolean,
    now: number,
  ): void {
    const both = (one: readonly string[], other: readonly string[]) => one.filter((trait) => other.includes(trait))
    const { breaker } = health
    // A yes resets everything.
    if (signal === 'up') {
      health = { paused: health.paused, saidYes: true, ...well }
      return
    }
    // The failure of what failed before says nothing about Target, unless it was the probe.
    if (signal === 'down' && failedBefore && !probe) return
    if (signal === 'down')
      health = {
        ...health,
        failures: health.failures + 1,
        failedTraits: health.failures === 0 ? about : both(health.failedTraits, about),
      }
    else health = { ...health, failures: 0, failedTraits: [] }
    if (signal === 'wrong')
      health = {
        ...health,
        denied: [...new Set([...health.denied, visitor])].slice(0, 3),
        deniedTraits: health.denied.length === 0 ? about : both(health.deniedTraits, about),
      }
    if (signal === 'refused')
      health = {
        ...health,
        refusals: health.refusals + 1,
        refused: [...new Set([...health.refused, visitor])].slice(0, 5),
        refusedTraits: health.refusals === 0 ? about : both(health.refusedTraits, about),
      }
    const pattern: { cause: BreakerCause; enough: boolean; traits: readonly string[] } =
      signal === 'down'
        ? { cause: 'unavailable', enough: health.failures >= 5, traits: health.failedTraits }
        : signal === 'wrong'
          ? {
              cause: 'misconfigured',
              enough: health.denied.length >= (health.saidYes ? 3 : 1),
              traits: health.deniedTraits,
            }
          : {
              cause: 'systemic',
              enough: !health.saidYes || (health.refusals >= 20 && health.refused.length === 5),
              traits: health.refusedTraits,
            }
    const wait = (cause: BreakerCause, probes: number) =>
      cause === 'unavailable' ? Math.min(60_000, 5_000 * 2 ** probes) : 60_000
    if (breaker === undefined) {
      const { cause, traits } = pattern
      if (pattern.enough)
        health = { ...health, breaker: { cause, sinceMs: now, untilMs: now + wait(cause, 0), probes: 0, traits } }
      return
    }
    if (!probe) {
      const widened = pattern.cause === breaker.cause ? about : pattern.enough ? pattern.traits : breaker.traits
      health = { ...health, breaker: { ...breaker, traits: both(breaker.traits, widened) } }
      return
    }
    // Target answers: its refusal is about this update.
    if (signal === 'refused' && breaker.cause !== 'systemic' && !pattern.enough) {
      const { breaker: _over, ...rest } = health
      health = { ...rest, denied: [], deniedTraits: [] }
      return
    }
    const cause = signal !== 'down' && pattern.enough ? pattern.cause : breaker.cause
    const probes = breaker.probes + 1
    health = {
      ...health,
      breaker: { ...breaker, cause, probes, untilMs: now + wait(cause, probes), traits: both(breaker.traits, about) },
    }
  }

  /** The latest time seen if the clock is more than five minutes behind it. */
  function jump(): { now: number; jumpedByMs?: number } {
    const now = clock.now()
    if (now < whole.seenMs - 5 * minuteMs) return { now: whole.seenMs, jumpedByMs: now - whole.seenMs }
    return now <= confirmedMs + settings.longestInFlightMs ? { now, jumpedByMs: 0 } : { now }
  }

  function step<T>(size: number, work: (now: number) => T): T {
    if (size > 100) throw new RangeError('too many')
    latestMs = Math.max(latestMs, clock.now())
    behindMs = Math.max(behindMs, latestMs - clock.now())
    return work(jump().now)
  }

  function summary(now: number): Summary {
    const { jumpedByMs } = jump()
    const leads = [...leadsOf]
      .filter(([, { atMs }]) => Math.abs(now - atMs) <= dayMs)
      .map(([name, { ms }]) => [name, ms] as const)
    return {
      limit: settings.quotaLimit,
      used: counted(whole, now).length,
      remaining: Math.max(0, settings.quotaLimit - counted(whole, now).length),
      health,
      ...(jumpedByMs === undefined ? {} : { clock: { jumpedByMs } }),
      leads: Object.fromEntries(leads),
    }
  }

  const ledger: ModelLedger = {
    kind: 'embedded',
    admit: async (requests, lane) =>
      step(requests.length, (now) => {
        const { jumpedByMs } = jump()
        if (jumpedByMs !== undefined) throw new ClockJumped(jumpedByMs)
        if (cancelled.has(requests[0]?.token ?? '')) throw new Error('the admission was cancelled')
        if (now - settings.quotaWindowMs - settings.quotaSlackMs < whole.forgottenMs) {
          const unknown = Math.max(0, settings.quotaLimit - counted(whole, now).length)
          if (unknown > 0) add(whole, unknown, now)
          whole.forgottenMs = now - settings.quotaWindowMs - settings.quotaSlackMs
        }
        const answers = requests.map((request) => admitOne(request, lane, now))
        forget(whole, now)
        return answers
      }),
    cancel: async (requests) =>
      step(requests.length, (now) => {
        cancelled.add(requests[0]?.token ?? '')
        let back = 0
        for (const { visitorHash, token, attributes, units, source } of requests) {
          const mine = attributes
            .map(({ name }) => counting(registersOf(visitorHash), name))
            .find((r) => r.token === token)
          const giveBack = {
            bucket: mine?.bucket ?? 0,
            units,
            ...(source === undefined ? {} : { source: source.name }),
          }
          const unsent = attributes.map((attribute) => ({ ...attribute, outcome: 'unsent' as const }))
          if (mine !== undefined) settleOne({ visitorHash, token, attributes: unsent, giveBack }, now)
          if (mine !== undefined) back += units
        }
        return back
      }),
    settle: async (settlements, counts: Counters = {}, leads = {}) =>
      step(settlements.length, (now) => {
        for (const settlement of settlements) settleOne(settlement, now)
        for (const [key, add] of Object.entries(counts)) {
          const parts = key.split('/')
          figures.push({ line: parts.slice(0, -1).join('/'), name: parts.at(-1) ?? '', add, ms: now })
        }
        for (const [name, ms] of Object.entries(leads)) {
          const kept = leadsOf.get(name)
          if (kept === undefined || ms > kept.ms || Math.abs(now - kept.atMs) > dayMs)
            leadsOf.set(name, { ms, atMs: now })
        }
      }),
    firstStamps: async (asked) =>
      step(asked.length, (now) =>
        asked.map(({ event, stamp }) => {
          const kept = events.get(event)
          const another = isAnother(kept, event, stamp)
          if (another && !kept?.rejected) return null
          const seen = kept === undefined || another ? { stamp, at: now, done: false } : kept
          events.set(event, seen)
          return seen.stamp
        }),
      ),
    summary: async () => step(0, summary),
    usage: async () =>
      step(0, (now) => {
        const live = counted(whole, now)
        const ends = [...new Set(live.map(({ bucket }) => bucket))].sort((a, b) => a - b)
        const [oldest] = live.map(leavesMs).sort((a, b) => a - b)
        return {
          ...summary(now),
          ...(oldest === undefined ? {} : { nextFreeAtMs: oldest }),
          buckets: ends.map(
            (end) => [end + 1 - settings.quotaBucketMs, live.filter(({ bucket }) => bucket === end).length] as const,
          ),
          counters: sumBy(figures, ({ name }) => name),
          totals: linesOf(figures),
        }
      }),
    series: async (fromMs) =>
      step(0, (now) => {
        const slot = (ms: number) => ms - (ms % (10 * minuteMs))
        const from = Math.max(slot(fromMs), slot(now) - 3 * dayMs)
        const some = figures.filter(({ ms }) => ms <= now || slot(ms) === slot(now))
        const starts = [...new Set(some.map(({ ms }) => slot(ms)))].sort((a, b) => a - b)
        return starts
          .filter((start) => start >= from && start < from + dayMs)
          .map((startMs) => ({ startMs, lines: linesOf(some.filter(({ ms }) => slot(ms) === startMs)) }))
      }),
    confirmClock: async () => {
      const now = clock.now()
      redate(whole, now)
      confirmedMs = now
      for (const one of retentions) one.sinceMs = Math.min(one.sinceMs, now)
      if (health.breaker !== undefined)
        health = { ...health, breaker: { ...health.breaker, untilMs: Math.min(health.breaker.untilMs, now) } }
    },
    restart: (next) => {
      settings = next
      if (next.retentionMs !== retentions.at(-1)?.retentionMs)
        retentions.push({ sinceMs: jump().now, retentionMs: next.retentionMs })
    },
    lease: async (name, holder, ttlMs) =>
      step(0, (now) => {
        const held = leases.get(name)
        if (
          held !== undefined &&
          held.holder !== holder &&
          now < held.untilMs &&
          held.untilMs <= now + ttlMs + 5 * minuteMs
        )
          return false
        leases.set(name, { holder, untilMs: now + ttlMs })
        return true
      }),
    release: async (name, holder) => {
      if (leases.get(name)?.holder === holder) leases.delete(name)
    },
    leaseAndRecall: async (name, holder, ttlMs, names) =>
      (await ledger.lease(name, holder, ttlMs)) ? names.map((memo) => memos.get(memo)) : undefined,
    rememberAndRelease: async (name, holder, memo, value) => {
      memos.set(memo, value)
      await ledger.release(name, holder)
    },
    look: async (fromMs, names) => ({
      usage: await ledger.usage(),
      slots: await ledger.series(fromMs),
      memos: names.map((name) => memos.get(name)),
    }),
    recall: async (name) => memos.get(name),
    recallAll: async (names) => names.map((name) => memos.get(name)),
    remember: async (name, value) => {
      memos.set(name, value)
    },
    compareAndSet: async (name, before, value) => {
      const isSo = memos.get(name) === before
      if (isSo) memos.set(name, value)
      return isSo
    },
    rememberFirst: async (name, value) => {
      const kept = memos.get(name) ?? value
      memos.set(name, kept)
      return kept
    },
    check: async () => {},
    pause: async (paused) => {
      health = { ...health, paused }
    },
    closeBreaker: async () => {
      const open = health.breaker !== undefined
      health = { paused: health.paused, saidYes: health.saidYes, ...well }
      return open
    },
    recordAct: async (act) => {
      acts.unshift(act)
      acts.splice(defaultLimits.actsKept)
    },
    acts: async () => [...acts],
    erase: async (visitor) => {
      const { now, jumpedByMs } = jump()
      if (jumpedByMs !== undefined) return false
      registers.delete(visitor)
      backoffs.delete(visitor)
      denials.delete(visitor)
      histories.delete(visitor)
      erasures.set(visitor, now)
      return true
    },
    restate: async (units) =>
      step(0, (now) => {
        whole.units = whole.units.filter((unit) => leavesMs(unit) <= now)
        granted = units > 0 ? add(whole, units, now) : []
      }),
    visitor: async (visitor) =>
      [...registersOf(visitor).keys()].flatMap((name) => {
        const { done, open } = counting(registersOf(visitor), name)
        return done === undefined && open === undefined
          ? []
          : [{ name, ...(done === undefined ? {} : { done }), ...(open === undefined ? {} : { open }) }]
      }),
    history: async (visitor) => histories.get(visitor)?.text(),
    moveOut: () => Promise.reject(new Error('a model stays where it is')),
    moveIn: () => Promise.reject(new Error('a model stays where it is')),
    restored: () => Promise.reject(new Error('a model forgets nothing')),
    steppedBackMs: () => behindMs,
    restarted: () => settings !== first,
    mostInAnyWindow: () =>
      Math.max(
        0,
        // A window with the most units ends with an admission.
        ...granted.map(
          ({ admittedMs: endMs }) =>
            granted.filter(({ admittedMs }) => admittedMs > endMs - settings.quotaWindowMs && admittedMs <= endMs)
              .length,
        ),
      ),
  }
  return ledger
}

interface Counted {
  readonly line: string
  readonly name: string
  readonly add: number
}

function sumBy(counted: readonly Counted[], keyOf: (one: Counted) => string): Record<string, number> {
  const keys = [...new Set(counted.map(keyOf))]
  return Object.fromEntries(
    keys.map((key) => [key, counted.filter((one) => keyOf(one) === key).reduce((sum, { add }) => sum + add, 0)]),
  )
}

function linesOf(counted: readonly Counted[]): Record<string, Record<string, number>> {
  const lines = [...new Set(counted.map(({ line }) => line))]
  return Object.fromEntries(
    lines.map((line) => [
      line,
      sumBy(
        counted.filter((one) => one.line === line),
        ({ name }) => name,
      ),
    ]),
  )
}
