/** What came of an attempt at the door: the fate of each attribute, and what the ledger is to be told of it. */
import { given } from '../given.ts'
import type { Admission, Settlement } from '../ledger/port.ts'
import type { Signal, Traits } from '../ledger/rules/health.ts'
import type { StampedAttribute } from '../update/update.ts'
import type { Call } from '../wire/calls.ts'
import type { Admitted, Attempt } from './attempt.ts'
import { type Failure, type Fate, failureOf, fateOf, outcomeOf, type Sent } from './fate.ts'

/** An attribute under its first stamp, with its fate. */
export interface FatedAttribute extends StampedAttribute {
  readonly fate: Fate
}

export interface Passage {
  readonly attempt: Attempt
  readonly event: Admission['event']
  /** The attempt's attributes; empty unless `event` is `open`. */
  readonly attributes: readonly FatedAttribute[]
  /** Calls started at Target. */
  readonly calls: number
  /** What Target said when it refused. */
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
  /** For the ledger, with the event's key once the event is settled. Absent where no call was allowed. */
  readonly settlement?: Settlement
}

/** A call that was allowed, and what came of it: `unsent` until it was made. */
export interface Try {
  readonly call: Call
  sent: Sent
}

/** How long to leave a visitor alone, ms, after `attempts` failed tries; `retryAfterMs` is what Target asked for. */
export type WaitOf = (attempts: number, retryAfterMs: number | undefined) => number

/**
 * @param tries the calls that were allowed
 * @param limited whether the platform allowed no more calls
 */
export function passageOf(admitted: Admitted, tries: readonly Try[], limited: boolean, waitOf: WaitOf): Passage {
  const { attempt, unfit, admission } = admitted
  const limit = given({ limited: limited || undefined })
  if (admission.event !== 'open')
    return { attempt, event: admission.event, attributes: [], calls: 0, attempts: 0, ...limit }
  const attributes = fatedAttributes(admitted, admission, tries)
  const started = startedOf(tries)
  const failures = started.flatMap(({ sent }) => failureOf(sent, admission.systemic === true) ?? [])
  const settlement =
    tries.length === 0
      ? undefined
      : settlementOf(admitted, admission, attributes, tries, failures.length > 0 ? waitOf : undefined)
  return {
    attempt,
    event: admission.event,
    attributes,
    calls: started.length,
    attempts: admission.attempts,
    ...given({
      refusal:
        started.flatMap(({ sent }) => refusalOf(sent, admission.lastTry === true) ?? [])[0] ??
        (unfit.length === 0 ? undefined : 'is larger than one call to Target can carry'),
      failure: failures.find((failure) => failure === 'misconfigured') ?? failures[0],
      retryAtMs: admission.retryAtMs,
      shutTraits: admission.shutTraits,
      failedBefore: admission.failedBefore,
      settlement,
    }),
    ...limit,
  }
}

type Open = Extract<Admission, { readonly event: 'open' }>

function fatedAttributes(
  { attempt, unfit }: Admitted,
  admission: Open,
  tries: readonly Try[],
): readonly FatedAttribute[] {
  const fates = fatesOf(attempt, admission, tries)
  return [
    ...attempt.attributes.map((attribute, index) => {
      const verdict = admission.verdicts[index] ?? 'quota'
      return {
        ...attribute,
        stamp: admission.firstStamp ?? attribute.stamp,
        fate: verdict === 'send' ? (fates.get(attribute.name) ?? 'unsent') : verdict,
      }
    }),
    ...unfit.map((attribute) => ({ ...attribute, fate: 'unfit' as const })),
  ]
}

/** By the names of the attributes that a call carried. */
function fatesOf({ attributes }: Attempt, admission: Open, tries: readonly Try[]): ReadonlyMap<string, Fate> {
  const systemic = admission.systemic === true
  const stampOf = new Map(attributes.map(({ name, stamp }) => [name, stamp]))
  return new Map(
    tries.flatMap(({ call, sent }) => {
      const together = new Set(call.names.map((name) => stampOf.get(name))).size > 1
      const fate = fateOf(sent, systemic, together, admission.lastTry === true)
      return call.names.map((name) => [name, fate] as const)
    }),
  )
}

/** @param waitOf absent where no call failed */
function settlementOf(
  { attempt, token, units, account }: Admitted,
  admission: Open,
  attributes: readonly FatedAttribute[],
  tries: readonly Try[],
  waitOf: WaitOf | undefined,
): Settlement {
  const { bucket } = admission
  const started = startedOf(tries)
  const unused = units - started.reduce((sum, { call }) => sum + call.units, 0)
  const signal = signalOf(started.map(({ sent }) => sent))
  return {
    visitorHash: attempt.visitorHash,
    token,
    attributes: attributes.flatMap(({ name, stamp, fate, hash }) => {
      const outcome = outcomeOf(fate)
      return outcome === undefined ? [] : [{ name, stamp, outcome, ...given({ hash }) }]
    }),
    ...given({
      giveBack:
        unused > 0 && bucket !== undefined ? { bucket, units: unused, ...given({ source: account?.name }) } : undefined,
      backoff: waitOf && nextTry(admission.attempts + 1, started, waitOf),
      signal,
      sources: signal === undefined ? undefined : attempt.sources,
      probe: admission.probe === undefined ? undefined : true,
      judged: attributes.some(({ fate }) => fate === 'sent_denied') || undefined,
    }),
  }
}

function startedOf(tries: readonly Try[]): readonly Try[] {
  return tries.filter(({ sent }) => sent.kind !== 'unsent')
}

function nextTry(attempts: number, started: readonly Try[], waitOf: WaitOf): NonNullable<Settlement['backoff']> {
  const asked = started.flatMap(({ sent }) => (sent.kind === 'unavailable' ? (sent.retryAfterMs ?? []) : []))
  return { attempts, waitMs: waitOf(attempts, asked.length === 0 ? undefined : Math.max(...asked)) }
}

/** What Target said against it, without a value or an id. */
function refusalOf(sent: Sent, lastTry: boolean): string | undefined {
  if (sent.kind === 'refused') return sent.message
  return sent.kind === 'misconfigured' && lastTry ? `was answered ${sent.status} each time` : undefined
}

/** What the calls of one attempt say of Target: the worst answer that needs an operator, otherwise the best. */
function signalOf(sent: readonly Sent[]): Signal | undefined {
  const kinds = new Set(sent.map(({ kind }) => kind))
  if (kinds.has('misconfigured')) return 'wrong'
  if (kinds.has('delivered')) return 'up'
  if (kinds.has('refused') || kinds.has('disbelieved')) return 'refused'
  return kinds.has('unavailable') || kinds.has('unanswered') ? 'down' : undefined
}
