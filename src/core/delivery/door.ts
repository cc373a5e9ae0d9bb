/**
 * The one door: admit, then send, then settle. Live traffic and replay both pass here, so that "no call without
 * admission" (G1) is written once.
 *
 * Guarantee: a call is started only for attributes that the ledger answered `send` for, within START of the moment the
 * admission was asked for, and every started call has its units. A rejected `admit` is the ledger's silence: the caller
 * sends nothing.
 * Known hole: a process that dies between Target's answer and `settle` leaves the attempt open; it is sent again under
 * the same stamp.
 */

import type { Clock, Random } from '../clock.ts'
import { given } from '../given.ts'
import type { Admission, AdmitRequest, Ledger, Settlement } from '../ledger/port.ts'
import type { Signal, Traits } from '../ledger/rules/health.ts'
import { startWithinMs } from '../ledger/rules/in-flight.ts'
import type { Attribute, Lane, Stamp, Visitor } from '../update/update.ts'
import { type Call, encodeCalls, maxUnits, type Wire } from '../wire/calls.ts'
import type { Target } from '../wire/port.ts'
import { backoffMs } from './backoff.ts'
import { type Failure, type Fate, failureOf, fateOf, outcomeOf, type Sent } from './fate.ts'

/** A merged update carries a stamp per attribute. */
export interface StampedAttribute extends Attribute {
  readonly stamp: Stamp
}

/** One visitor's change as it comes to the door. */
export interface Attempt {
  readonly visitor: Visitor
  readonly visitorHash: string
  /** At least one, and known to fit Target's calls. */
  readonly attributes: readonly StampedAttribute[]
  /** Live only: the event's key. */
  readonly event?: string
  /** Whose updates it carries. Where it is one source, on its account. */
  readonly sources: readonly string[]
  /** Not to be sent yet: what would go is `held`. */
  readonly hold?: boolean
  /** Replay only: before all others, those of which no try failed; then the others. */
  readonly round?: 'first tries' | 'last resort'
}

export interface Admitted {
  /** With the attributes that fit a call; those that fit none were not asked about. */
  readonly attempt: Attempt
  readonly unfit: Attempt['attributes']
  readonly admission: Admission
  readonly token: string
  readonly units: number
  /** When the admission was asked for, epoch ms. */
  readonly requestedAtMs: number
}

export interface Passage {
  readonly attempt: Attempt
  readonly event: Admission['event']
  /** The attempt's attributes, under their first stamps, with their fates; empty for `duplicate` and `in_flight`. */
  readonly attributes: readonly (StampedAttribute & { readonly fate: Fate })[]
  /** Calls started at Target. */
  readonly calls: number
  /** What Target said of a refusal. */
  readonly refusal?: string
  readonly failure?: Failure
  /** The platform lets this invocation start no more calls. */
  readonly limited?: true
  /** When the quota will have room again, epoch ms, where it refused. */
  readonly retryAtMs?: number
  /** What the breaker is about, where it held something back. */
  readonly shutTraits?: Traits
  /** Not asked to go yet, since a try of its visitor failed before. */
  readonly failedBefore?: true
  readonly attempts: number
  /** To be given to the ledger, with the event's key once the event is settled. Absent where nothing was sent. */
  readonly settlement?: Settlement
}

export interface Door {
  /** Rejects when the ledger does not answer in time. At most 100 attempts. */
  admit(attempts: readonly Attempt[], lane: Lane): Promise<readonly Admitted[]>
  /**
   * Makes the calls that were admitted. Never rejects.
   *
   * @param mostCalls so many calls; what is in the others counts as unsent
   */
  send(admitted: readonly Admitted[], mostCalls?: number): Promise<readonly Passage[]>
}

export interface DoorParts {
  readonly ledger: Pick<Ledger, 'admit'>
  readonly target: Target
  readonly wire: Wire
  readonly clock: Clock
  readonly random: Random
  readonly backoffBaseMs: number
  /** Units a window for each source with a share of its own. */
  readonly shares: ReadonlyMap<string, number>
}

/** A Worker has 6 connections that wait for headers; ledger and backlog need theirs. */
const sendsAtOnce = 4
const tokenBytes = 12
/**
 * After so many failed tries a merged update travels event by event, a different one each time, so that one on which
 * Target fails does not hold its neighbours back. The others count as unsent.
 */
const triesTogether = 3

export function createDoor({ ledger, target, wire, clock, random, backoffBaseMs, shares }: DoorParts): Door {
  return { admit, send }

  async function admit(attempts: readonly Attempt[], lane: Lane): Promise<readonly Admitted[]> {
    const requestedAtMs = clock.now()
    const asked = attempts.map((given) => {
      const { fitting, unfit, units } = fitOf(given)
      return { attempt: { ...given, attributes: fitting }, unfit, token: random.hex(tokenBytes), units }
    })
    const wanted = asked.filter(({ attempt }) => attempt.attributes.length > 0)
    const admissions =
      wanted.length === 0
        ? []
        : await ledger.admit(
            wanted.map(({ attempt, token, units }) => ({
              visitorHash: attempt.visitorHash,
              attributes: attempt.attributes.map(({ name, stamp }) => ({ name, stamp })),
              units,
              token,
              ...given({
                event: attempt.event,
                hold: attempt.hold || undefined,
                firstTry: attempt.round === 'first tries' || undefined,
                lastResort: attempt.round === 'last resort' || undefined,
              }),
              sources: attempt.sources,
              ...accountOf(attempt),
            })),
            lane,
          )
    if (admissions.length < wanted.length) throw new Error('the ledger answered fewer admissions than were asked for')
    const answers = new Map(wanted.map((one, index) => [one, admissions[index]]))
    return asked.map((one) => ({ ...one, admission: answers.get(one) ?? nothingAsked, requestedAtMs }))
  }

  async function send(
    admitted: readonly Admitted[],
    mostCalls = Number.POSITIVE_INFINITY,
  ): Promise<readonly Passage[]> {
    const plans = admitted.map((one) => ({ one, calls: callsOf(one) }))
    const answers = new Map<Call, Sent>()
    const queue = plans
      .flatMap(({ one, calls }) => calls.map((call) => ({ call, requestedAtMs: one.requestedAtMs })))
      .slice(0, mostCalls)
    let limited = false
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        // What is not in `answers` counts as unsent.
        const startByMs = next.requestedAtMs + startWithinMs
        if (limited || clock.now() > startByMs) continue
        const answer = await target.send(next.call, startByMs)
        if (answer.kind === 'unsent' && answer.why === 'limit') limited = true
        answers.set(next.call, answer)
      }
    }
    await Promise.all(Array.from({ length: Math.min(sendsAtOnce, queue.length) }, worker))
    return plans.map(({ one, calls }) => ({
      ...passage(one, calls, answers),
      ...given({ limited: limited || undefined }),
    }))
  }

  function accountOf({ sources: [source, ...others] }: Attempt): Pick<AdmitRequest, 'source'> {
    // What several sources share is on nobody's account.
    if (others.length > 0) return {}
    const units = source === undefined ? undefined : shares.get(source)
    return source === undefined || units === undefined ? {} : { source: { name: source, units } }
  }

  function fitOf({ visitor, attributes }: Attempt): {
    fitting: Attempt['attributes']
    unfit: Attempt['attributes']
    units: number
  } {
    const whole = encodeCalls(visitor, attributes, wire)
    if (whole.ok) return { fitting: attributes, unfit: [], units: maxUnits(whole.calls, wire.method) }
    const tooLarge = new Set(whole.tooLarge)
    const fitting = attributes.filter(({ name }) => !tooLarge.has(name))
    const rest = encodeCalls(visitor, fitting, wire)
    return {
      fitting,
      unfit: attributes.filter(({ name }) => tooLarge.has(name)),
      units: rest.ok ? maxUnits(rest.calls, wire.method) : 0,
    }
  }

  function callsOf({ attempt, admission }: Admitted): readonly Call[] {
    if (admission.event !== 'open') return []
    const all = attempt.attributes.filter((_, index) => admission.verdicts[index] === 'send')
    const stamps = [...new Set(all.map(({ stamp }) => stamp))]
    if (stamps.length === 0) return []
    const alone = admission.attempts >= triesTogether ? stamps[admission.attempts % stamps.length] : undefined
    const worth = alone === undefined ? all : all.filter(({ stamp }) => stamp === alone)
    const encoded = encodeCalls(attempt.visitor, worth, wire)
    return encoded.ok ? encoded.calls : []
  }

  function passage(
    { attempt, unfit, admission, token, units }: Admitted,
    calls: readonly Call[],
    answers: ReadonlyMap<Call, Sent>,
  ): Passage {
    if (admission.event !== 'open') return { attempt, event: admission.event, attributes: [], calls: 0, attempts: 0 }
    const systemic = admission.systemic === true
    const stampOf = new Map(attempt.attributes.map(({ name, stamp }) => [name, stamp]))
    const fates = new Map(
      calls.flatMap((call) => {
        const together = new Set(call.names.map((name) => stampOf.get(name))).size > 1
        const fate = fateOf(answers.get(call) ?? unsent, systemic, together, admission.lastTry === true)
        return call.names.map((name) => [name, fate] as const)
      }),
    )
    const admittedAttributes = attempt.attributes.map((attribute, index) => {
      const verdict = admission.verdicts[index] ?? 'quota'
      return {
        ...attribute,
        stamp: admission.firstStamp ?? attribute.stamp,
        fate: verdict === 'send' ? (fates.get(attribute.name) ?? 'unsent') : verdict,
      }
    })
    const attributes = [...admittedAttributes, ...unfit.map((attribute) => ({ ...attribute, fate: 'unfit' as const }))]
    const results = calls.map((call) => ({ call, sent: answers.get(call) ?? unsent }))
    const started = results.filter(({ sent }) => sent.kind !== 'unsent')
    const failures = started.map(({ sent }) => failureOf(sent, systemic)).filter((failure) => failure !== undefined)
    const signal = signalOf(started.map(({ sent }) => sent))
    const refusal = started
      .map(({ sent }) => refusalOf(sent, admission.lastTry === true))
      .find((message) => message !== undefined)
    const base = {
      attempt,
      event: admission.event,
      attributes,
      calls: started.length,
      attempts: admission.attempts,
      ...(refusal === undefined
        ? unfit.length === 0
          ? {}
          : { refusal: 'is larger than one call to Target can carry' }
        : { refusal }),
      ...(failures.length === 0
        ? {}
        : { failure: failures.includes('misconfigured') ? ('misconfigured' as const) : ('unavailable' as const) }),
      ...given({
        retryAtMs: admission.retryAtMs,
        shutTraits: admission.shutTraits,
        failedBefore: admission.failedBefore,
      }),
    }
    if (calls.length === 0) return base

    const unused = units - started.reduce((sum, { call }) => sum + call.units, 0)
    const settled = attributes.flatMap(({ name, stamp, fate }) => {
      const outcome = outcomeOf(fate)
      return outcome === undefined ? [] : [{ name, stamp, outcome }]
    })
    const settlement: Settlement = {
      visitorHash: attempt.visitorHash,
      token,
      attributes: settled,
      ...(unused > 0 && admission.bucket !== undefined
        ? { giveBack: { bucket: admission.bucket, units: unused, ...accountName(accountOf(attempt)) } }
        : {}),
      ...given({
        backoff: failures.length === 0 ? undefined : nextTry(admission.attempts + 1, started),
        signal,
        sources: signal === undefined ? undefined : attempt.sources,
        probe: admission.probe === undefined ? undefined : true,
        judged: [...fates.values()].includes('sent_denied') || undefined,
      }),
    }
    return { ...base, settlement }
  }

  function nextTry(attempts: number, started: readonly { sent: Sent }[]): NonNullable<Settlement['backoff']> {
    const asked = started.flatMap(({ sent }) =>
      sent.kind === 'unavailable' && sent.retryAfterMs !== undefined ? [sent.retryAfterMs] : [],
    )
    const retryAfterMs = asked.length === 0 ? undefined : Math.max(...asked)
    return { attempts, waitMs: backoffMs(attempts, backoffBaseMs, retryAfterMs, random.fraction()) }
  }
}

const unsent: Sent = { kind: 'unsent', why: 'late' }
/** Of an attempt of which nothing fits a call. */
const nothingAsked: Admission = { event: 'open', verdicts: [], attempts: 0 }

function accountName({ source }: Pick<AdmitRequest, 'source'>): { source?: string } {
  return source === undefined ? {} : { source: source.name }
}

/** What Target said against it, without a value or an id. */
function refusalOf(sent: Sent, lastTry: boolean): string | undefined {
  if (sent.kind === 'refused') return sent.message
  return sent.kind === 'misconfigured' && lastTry ? `was answered ${sent.status} each time` : undefined
}

/** What the calls of one attempt say of Target: the worst that calls for a hand, else the best. */
function signalOf(sent: readonly Sent[]): Signal | undefined {
  const kinds = new Set(sent.map(({ kind }) => kind))
  if (kinds.has('misconfigured')) return 'wrong'
  if (kinds.has('delivered')) return 'up'
  if (kinds.has('refused') || kinds.has('disbelieved')) return 'refused'
  return kinds.has('unavailable') || kinds.has('unanswered') ? 'down' : undefined
}
