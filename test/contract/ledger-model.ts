/**
 * The ledger as plainly as it can be said: every unit in a log, every register and event in a map, nothing indexed,
 * nothing ever removed. Written from PROTOCOL.md and DESIGN.md alone, sharing no rule with `src`, so that the ledgers can
 * be held against it. Slow on purpose.
 */

import type { BreakerCause, Health, Signal } from '../../src/core/ledger/health.ts'
import type { Admission, AdmitRequest, Counters, Ledger, LedgerSettings, Settlement, Usage, Verdict } from '../../src/core/ledger/port.ts'
import type { Lane } from '../../src/core/update.ts'

export interface ModelLedger extends Ledger {
  /** The most units, admitted and not given back, that any rolling window has held so far, by the clock's own readings. */
  mostInAnyWindow(): number
  /** How far the clock was seen behind itself, ms. No ledger can promise a window to a clock that is off by more than the slack. */
  steppedBackMs(): number
}

/** One granted unit. */
interface Unit {
  readonly admittedMs: number
  readonly bucket: number
  readonly leavesMs: number
}

interface ModelRegister {
  done?: string | undefined
  open?: string | undefined
  at: number
  token?: string | undefined
  /** The stamps whose fate is open, as attempts: newest first, the one under way at the front. */
  again?: boolean
  below?: readonly string[]
}

export function modelLedger(settings: LedgerSettings, clock: { now: () => number }): ModelLedger {
  const { quotaWindowMs, quotaBucketMs, quotaSlackMs, quotaLimit, replayReserve, retentionMs, youngMs } = settings
  const ceilings: Record<Lane, number> = {
    replay: quotaLimit,
    high: Math.floor(quotaLimit * (1 - replayReserve / 2)),
    live: Math.floor(quotaLimit * (1 - replayReserve)),
    bulk: Math.floor(quotaLimit * Math.max(0, 1 - 4 * replayReserve)),
  }
  let log: Unit[] = []
  /** Units that a clock running ahead has seen leave: they do not come back when it steps back. */
  let latestMs = 0
  let behindMs = 0
  let newestBucket = 0
  const registers = new Map<string, Map<string, ModelRegister>>()
  const backoffs = new Map<string, { attempts: number; notBeforeMs: number }>()
  const events = new Map<string, { stamp: string; at: number; done: boolean }>()
  const counters = new Map<string, number>()
  const leases = new Map<string, { holder: string; untilMs: number }>()
  const memos = new Map<string, string>()
  const erasures = new Map<string, number>()
  const shares = new Map<string, Unit[]>()
  const well = { failures: 0, failedTraits: [], refusals: 0, refused: [], refusedTraits: [], denied: [], deniedTraits: [] }
  let health: Health = { paused: false, saidYes: false, ...well }

  /** Eight are told apart; then the seventh stands for all that are older. */
  const stillOpen = (stamps: readonly string[], done: string | undefined) => {
    const open = stamps.filter((stamp) => done === undefined || stamp > done)
    return open.length <= 8 ? open : [...open.slice(0, 7), open[6] ?? '']
  }
  const timeOf = (stamp: string) => Number.parseInt(stamp.slice(1, 14), 10)
  const counted = (ms: number) => log.filter(({ leavesMs }) => leavesMs > ms)
  const registersOf = (visitor: string) => {
    const known = registers.get(visitor) ?? new Map<string, ModelRegister>()
    registers.set(visitor, known)
    return known
  }

  function verdictOf(r: ModelRegister, stamp: string, lane: Lane, visitor: string, now: number): Verdict {
    const older = timeOf(stamp) < now - retentionMs
    if (older && r.open !== undefined && r.open > stamp) return 'overtaken'
    if (older) return 'expired'
    if (r.done === stamp) return 'delivered'
    if (r.done !== undefined && r.done > stamp) return 'superseded'
    if (Number.parseInt(stamp.slice(14, 27), 10) <= (erasures.get(visitor) ?? 0)) return 'erased'
    if (r.open !== undefined && r.open > stamp) return 'waits'
    if (r.open !== undefined && now - r.at <= youngMs) return 'contended'
    if (lane === 'replay' && (backoffs.get(visitor)?.notBeforeMs ?? 0) > now) return 'backoff'
    return 'send'
  }

  function admitOne(request: AdmitRequest, lane: Lane, now: number): Admission {
    let stamps = request.attributes.map(({ stamp }) => stamp)
    let firstStamp: string | undefined
    if (request.event !== undefined) {
      const own = stamps[0] ?? ''
      const seen = events.get(request.event)
      if (seen?.done) return { event: 'duplicate' }
      if (seen !== undefined && now - seen.at <= youngMs) return { event: 'in_flight' }
      const first = seen?.stamp ?? own
      events.set(request.event, { stamp: first, at: now, done: false })
      if (first !== own) firstStamp = first
      stamps = stamps.map(() => first)
    }
    const known = registersOf(request.visitorHash)
    const registerOf = (index: number): ModelRegister => known.get(request.attributes[index]?.name ?? '') ?? { at: 0 }
    let verdicts = stamps.map((stamp, index) => verdictOf(registerOf(index), stamp, lane, request.visitorHash, now))
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
    const mayProbe = breaker !== undefined && now >= breaker.untilMs && (answer.attempts === 0 || request.lastResort === true)
    const closed = request.hold === true ? 'held' : health.paused ? 'paused' : heldBack && !mayProbe ? 'shut' : undefined
    if (closed !== undefined) return { ...answer, ...first, verdicts: verdicts.map((verdict) => (verdict === 'send' ? closed : verdict)) }
    const { source } = request
    const spent = source === undefined ? [] : (shares.get(source.name) ?? []).filter(({ leavesMs }) => leavesMs > latestMs)
    const over = source !== undefined && spent.length + request.units > source.units
    const ceiling = over ? Math.min(ceilings.bulk, ceilings[lane]) : ceilings[lane]
    if (counted(latestMs).length + request.units > ceiling) {
      verdicts = verdicts.map((verdict) => (verdict === 'send' ? 'quota' : verdict))
      const times = log.map(({ leavesMs }) => leavesMs).sort((a, b) => a - b)
      const retryAtMs = times.find((ms) => ms > latestMs && counted(ms).length + request.units <= ceiling)
      return { ...answer, ...first, verdicts, ...(retryAtMs === undefined ? {} : { retryAtMs }) }
    }
    newestBucket = Math.max(newestBucket, Math.floor(now / quotaBucketMs))
    const leavesMs = (newestBucket + 1) * quotaBucketMs + quotaWindowMs + quotaSlackMs
    const units = Array.from({ length: request.units }, () => ({ admittedMs: now, bucket: newestBucket, leavesMs }))
    log.push(...units)
    if (source !== undefined) shares.set(source.name, [...(shares.get(source.name) ?? []), ...units])
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
        token: request.token,
        again,
        below: stillOpen(older, r.done),
      })
    })
    return {
      ...answer,
      ...first,
      verdicts,
      bucket: newestBucket,
      ...(breaker?.cause === 'systemic' ? { systemic: true } : {}),
      ...(breaker !== undefined && heldBack ? { probe: breaker.cause } : {}),
    }
  }

  function settleOne(settlement: Settlement, now: number): void {
    const { visitorHash, token, attributes, eventDone, giveBack, backoff, signal, probe } = settlement
    const about = aboutOf(
      visitorHash,
      settlement.sources,
      attributes.map(({ name }) => name),
    )
    if (signal !== undefined) hear(signal, visitorHash, about, (backoffs.get(visitorHash)?.attempts ?? 0) > 0, probe === true, now)
    const known = registersOf(visitorHash)
    let closed = false
    for (const { name, stamp, outcome } of attributes) {
      const r = known.get(name) ?? { at: 0 }
      known.set(name, r)
      const mine = r.open !== undefined && r.token === token
      if (outcome === 'delivered' && (r.done === undefined || stamp > r.done)) r.done = stamp
      if (outcome === 'unknown' || !mine) continue
      closed = true
      const left = outcome === 'delivered' ? [] : [...(outcome === 'unsent' && r.again === true ? [r.open ?? ''] : []), ...(r.below ?? [])]
      known.set(name, { done: r.done, open: left[0], at: 0, below: stillOpen(left.slice(1), r.done) })
    }
    if (backoff !== undefined) backoffs.set(visitorHash, backoff)
    if (attributes.some(({ outcome }) => outcome === 'delivered')) backoffs.delete(visitorHash)
    if (closed && giveBack !== undefined) {
      for (let unit = 0; unit < giveBack.units; unit++) {
        const index = log.findIndex(({ bucket, leavesMs }) => bucket === giveBack.bucket && leavesMs > latestMs)
        if (index >= 0) log = log.toSpliced(index, 1)
        const own = shares.get(giveBack.source ?? '') ?? []
        const ownIndex = own.findIndex(({ bucket, leavesMs }) => bucket === giveBack.bucket && leavesMs > latestMs)
        if (ownIndex >= 0) shares.set(giveBack.source ?? '', own.toSpliced(ownIndex, 1))
      }
    }
    if (eventDone !== undefined) {
      const seen = events.get(eventDone)
      events.set(eventDone, { stamp: seen?.stamp ?? attributes[0]?.stamp ?? '', at: seen?.at ?? now, done: true })
    }
  }

  function aboutOf(visitor: string, sources: readonly string[] = [], names: readonly string[] = []): readonly string[] {
    return [`v:${visitor}`, ...sources.map((source) => `s:${source}`), ...names.map((name) => `a:${name}`)]
  }

  /** Who is blamed, said in sentences. */
  function hear(signal: Signal, visitor: string, about: readonly string[], failedBefore: boolean, probe: boolean, now: number): void {
    const both = (one: readonly string[], other: readonly string[]) => one.filter((trait) => other.includes(trait))
    const { breaker } = health
    // A yes makes everything well.
    if (signal === 'up') {
      health = { paused: health.paused, saidYes: true, ...well }
      return
    }
    // What failed before says nothing of Target, unless it was the probe.
    if (signal === 'down' && failedBefore && !probe) return
    if (signal === 'down')
      health = { ...health, failures: health.failures + 1, failedTraits: health.failures === 0 ? about : both(health.failedTraits, about) }
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
          ? { cause: 'misconfigured', enough: health.denied.length >= (health.saidYes ? 3 : 1), traits: health.deniedTraits }
          : { cause: 'systemic', enough: health.refusals >= 20 && health.refused.length === 5, traits: health.refusedTraits }
    const wait = (cause: BreakerCause, probes: number) => (cause === 'unavailable' ? Math.min(60_000, 5_000 * 2 ** probes) : 60_000)
    if (breaker === undefined) {
      const { cause, traits } = pattern
      if (pattern.enough) health = { ...health, breaker: { cause, sinceMs: now, untilMs: now + wait(cause, 0), probes: 0, traits } }
      return
    }
    if (!probe) {
      const widened = pattern.cause === breaker.cause ? about : pattern.enough ? pattern.traits : breaker.traits
      health = { ...health, breaker: { ...breaker, traits: both(breaker.traits, widened) } }
      return
    }
    // Target answers: its no is about this one.
    if (signal === 'refused' && breaker.cause !== 'systemic' && !pattern.enough) {
      const { breaker: _over, ...rest } = health
      health = { ...rest, denied: [], deniedTraits: [] }
      return
    }
    const cause = signal !== 'down' && pattern.enough ? pattern.cause : breaker.cause
    const probes = breaker.probes + 1
    health = { ...health, breaker: { ...breaker, cause, probes, untilMs: now + wait(cause, probes), traits: both(breaker.traits, about) } }
  }

  function step<T>(size: number, work: (now: number) => T): T {
    if (size > 100) throw new RangeError('too many')
    const now = clock.now()
    latestMs = Math.max(latestMs, now)
    behindMs = Math.max(behindMs, latestMs - now)
    return work(now)
  }

  return {
    kind: 'embedded',
    admit: async (requests, lane) => step(requests.length, (now) => requests.map((request) => admitOne(request, lane, now))),
    settle: async (settlements, counts: Counters = {}) =>
      step(settlements.length, (now) => {
        for (const settlement of settlements) settleOne(settlement, now)
        for (const [name, add] of Object.entries(counts)) counters.set(name, (counters.get(name) ?? 0) + add)
      }),
    firstStamps: async (asked) =>
      step(asked.length, (now) =>
        asked.map(({ event, stamp }) => {
          const seen = events.get(event) ?? { stamp, at: now, done: false }
          events.set(event, seen)
          return seen.stamp
        }),
      ),
    usage: async () =>
      step(0, (): Usage => {
        const live = counted(latestMs)
        const starts = [...new Set(live.map(({ bucket }) => bucket))].sort((a, b) => a - b)
        const [oldest] = live.map(({ leavesMs }) => leavesMs).sort((a, b) => a - b)
        return {
          limit: quotaLimit,
          used: live.length,
          remaining: quotaLimit - live.length,
          ...(oldest === undefined ? {} : { nextFreeAtMs: oldest }),
          buckets: starts.map((start) => [start * quotaBucketMs, live.filter(({ bucket }) => bucket === start).length] as const),
          counters: Object.fromEntries(counters),
          health,
        }
      }),
    lease: async (name, holder, ttlMs) =>
      step(0, (now) => {
        const held = leases.get(name)
        if (held !== undefined && held.holder !== holder && now < held.untilMs) return false
        leases.set(name, { holder, untilMs: now + ttlMs })
        return true
      }),
    release: async (name, holder) => {
      if (leases.get(name)?.holder === holder) leases.delete(name)
    },
    recall: async (name) => memos.get(name),
    remember: async (name, value) => {
      memos.set(name, value)
    },
    check: async () => {},
    pause: async (paused) => {
      health = { ...health, paused }
    },
    erase: async (visitor) => {
      registers.delete(visitor)
      backoffs.delete(visitor)
      erasures.set(visitor, clock.now())
    },
    restate: async (units) =>
      step(0, (now) => {
        newestBucket = units > 0 ? Math.max(newestBucket, Math.floor(now / quotaBucketMs)) : newestBucket
        const leavesMs = (newestBucket + 1) * quotaBucketMs + quotaWindowMs + quotaSlackMs
        log = Array.from({ length: units }, () => ({ admittedMs: now, bucket: newestBucket, leavesMs }))
      }),
    visitor: async (visitor) =>
      [...registersOf(visitor)].flatMap(([name, { done, open }]) =>
        done === undefined && open === undefined
          ? []
          : [{ name, ...(done === undefined ? {} : { done }), ...(open === undefined ? {} : { open }) }],
      ),
    moveOut: () => Promise.reject(new Error('a model stays where it is')),
    moveIn: () => Promise.reject(new Error('a model stays where it is')),
    steppedBackMs: () => behindMs,
    mostInAnyWindow: () =>
      Math.max(
        0,
        // A window that holds the most ends with an admission.
        ...log.map(
          ({ admittedMs: endMs }) => log.filter(({ admittedMs }) => admittedMs > endMs - quotaWindowMs && admittedMs <= endMs).length,
        ),
      ),
  }
}
