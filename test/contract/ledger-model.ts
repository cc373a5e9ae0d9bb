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
  let health: Health = { paused: false, failures: 0, refusals: 0, refused: [] }

  /** Eight are told apart; then the seventh stands for all that are older. */
  const stillOpen = (stamps: readonly string[], done: string | undefined) => {
    const open = stamps.filter((stamp) => done === undefined || stamp > done)
    return open.length <= 8 ? open : [...open.slice(0, 7), open[6] ?? '']
  }
  const timeOf = (stamp: string) => Number.parseInt(stamp.slice(1, 14), 10)
  /** Two lifetimes behind its newest stamp a register is as if it had never been. */
  const counting = (known: Map<string, ModelRegister>, name: string): ModelRegister => {
    const r = known.get(name) ?? { at: 0 }
    const times = [r.done, r.open].filter((stamp) => stamp !== undefined).map(timeOf)
    return Math.max(0, ...times) < clock.now() - 2 * (retentionMs + quotaSlackMs + youngMs) ? { at: 0 } : r
  }
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
    const registerOf = (index: number): ModelRegister => counting(known, request.attributes[index]?.name ?? '')
    let verdicts = stamps.map((stamp, index) => verdictOf(registerOf(index), stamp, lane, request.visitorHash, now))
    const answer = { event: 'open' as const, attempts: backoffs.get(request.visitorHash)?.attempts ?? 0 }
    const first = firstStamp === undefined ? {} : { firstStamp }
    if (!verdicts.includes('send')) return { ...answer, ...first, verdicts }

    const { breaker } = health
    const closed =
      request.hold === true ? 'held' : health.paused ? 'paused' : breaker !== undefined && now < breaker.untilMs ? 'shut' : undefined
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
    if (breaker !== undefined) health = { ...health, breaker: { ...breaker, untilMs: now + 30_000 } }
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
    return { ...answer, ...first, verdicts, bucket: newestBucket, ...(breaker === undefined ? {} : { probe: breaker.cause }) }
  }

  function settleOne({ visitorHash, token, attributes, eventDone, giveBack, backoff, signal, probe }: Settlement, now: number): void {
    if (signal !== undefined) hear(signal, visitorHash, probe === true, now)
    const known = registersOf(visitorHash)
    let closed = false
    for (const { name, stamp, outcome } of attributes) {
      const r = counting(known, name)
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

  /** DESIGN.md §7, said in sentences. */
  function hear(signal: Signal, visitor: string, probe: boolean, now: number): void {
    const { paused, breaker } = health
    const openFor = (cause: BreakerCause, waitMs: number) => {
      const probes = breaker === undefined ? 0 : breaker.probes + 1
      health = { ...health, breaker: { cause, sinceMs: breaker === undefined ? now : breaker.sinceMs, untilMs: now + waitMs, probes } }
    }
    // A yes makes everything well.
    if (signal === 'up') health = { paused, failures: 0, refusals: 0, refused: [] }
    // While it is open, only the probe counts.
    else if (breaker !== undefined && !probe) return
    else if (signal === 'wrong') {
      health = { ...health, failures: 0 }
      openFor('misconfigured', 60_000)
    } else if (signal === 'down') {
      health = { ...health, failures: health.failures + 1 }
      if (breaker === undefined && health.failures === 5) openFor('unavailable', 5_000)
      if (breaker !== undefined) openFor(breaker.cause, Math.min(60_000, 5_000 * 2 ** (breaker.probes + 1)))
    } else {
      const known = [...new Set([...health.refused, visitor])].slice(0, 5)
      health = { ...health, failures: 0, refusals: health.refusals + 1, refused: known }
      if (breaker?.cause === 'systemic' || (health.refusals >= 20 && known.length === 5)) openFor('systemic', 60_000)
      else health = { paused, failures: 0, refusals: health.refusals, refused: known }
    }
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
      [...registersOf(visitor).keys()].flatMap((name) => {
        const { done, open } = counting(registersOf(visitor), name)
        return done === undefined && open === undefined
          ? []
          : [{ name, ...(done === undefined ? {} : { done }), ...(open === undefined ? {} : { open }) }]
      }),
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
