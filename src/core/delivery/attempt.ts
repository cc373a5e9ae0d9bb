/**
 * What goes through the door: one visitor's change, the units that it may take, and the calls that it may make.
 *
 * Guarantee: the calls are exactly those of the attributes that the ledger answered `send` for, and cost no more units
 * than were asked for. They are encoded once where all attributes go, and again only for some of them.
 */
import { given } from '../given.ts'
import type { Admission, AdmitRequest, SourceShare } from '../ledger/port.ts'
import type { StampedAttribute, Visitor } from '../update/update.ts'
import { type Call, type Encoding, encodeCalls, maxUnits, type Wire } from '../wire/calls.ts'

/** One visitor's change as it comes to the door. */
export interface Attempt {
  readonly visitor: Visitor
  readonly visitorHash: string
  /** At least one, and known to fit Target's calls. */
  readonly attributes: readonly StampedAttribute[]
  /** Live only: the event's key. */
  readonly event?: string
  /** The sources whose updates it carries. If there is only one, it is on that source's account. */
  readonly sources: readonly string[]
  /** Not to be sent yet: what would be sent is `held`. */
  readonly hold?: boolean
  /** Replay only: how many other entries are merged into it. */
  readonly mergedEntries?: number
  /** Replay only: visitors without a failed try first, then the others. */
  readonly round?: 'first tries' | 'last resort'
  /** The calls of exactly its attributes, if they are encoded already. */
  readonly encoding?: Encoding
}

/** An attempt with the units to ask for, before the ledger is asked. */
export interface Asked {
  /** With the attributes that fit in a call; the ledger is not asked about the others. */
  readonly attempt: Attempt
  readonly unfit: Attempt['attributes']
  /** What all of its attributes are on the wire. */
  readonly calls: readonly Call[]
  readonly units: number
  /** Names the attempt in the ledger. */
  readonly token: string
  readonly account?: SourceShare
}

export interface Admitted extends Asked {
  readonly admission: Admission
  /** When the admission was asked for, epoch ms. */
  readonly requestedAtMs: number
}

/**
 * After this many failed tries a merged update is sent event by event, a different one each time, so that one on which
 * Target fails does not hold its neighbours back. The others count as unsent.
 */
const triesTogether = 3
/** The admission of an attempt none of whose attributes fits in a call: the ledger was not asked. */
export const nothingAsked: Admission = { event: 'open', verdicts: [], attempts: 0 }

/** @param shares units a window for each source with a share of its own */
export function askedOf(attempt: Attempt, token: string, wire: Wire, shares: ReadonlyMap<string, number>): Asked {
  const { fitting, unfit, calls } = fitOf(attempt, wire)
  return {
    attempt: { ...attempt, attributes: fitting },
    unfit,
    calls,
    units: maxUnits(calls, wire.method),
    token,
    ...given({ account: accountOf(attempt, shares) }),
  }
}

export function requestOf({ attempt, units, token, account }: Asked): AdmitRequest {
  return {
    visitorHash: attempt.visitorHash,
    attributes: attempt.attributes.map(({ name, stamp, hash }) => ({ name, stamp, ...given({ hash }) })),
    units,
    token,
    sources: attempt.sources,
    ...given({
      event: attempt.event,
      hold: attempt.hold || undefined,
      firstTry: attempt.round === 'first tries' || undefined,
      lastResort: attempt.round === 'last resort' || undefined,
      source: account,
    }),
  }
}

/** The calls that an admission allows; none for a `duplicate` or an event that is `in_flight`. */
export function callsOf({ attempt, calls, admission }: Admitted, wire: Wire): readonly Call[] {
  if (admission.event !== 'open') return []
  const admitted = attempt.attributes.filter((_, index) => admission.verdicts[index] === 'send')
  const stamps = [...new Set(admitted.map(({ stamp }) => stamp))]
  if (stamps.length === 0) return []
  const alone = admission.attempts >= triesTogether ? stamps[admission.attempts % stamps.length] : undefined
  const going = alone === undefined ? admitted : admitted.filter(({ stamp }) => stamp === alone)
  if (going.length === attempt.attributes.length) return calls
  const encoded = encodeCalls(attempt.visitor, going, wire)
  return encoded.ok ? encoded.calls : []
}

/** A call that carries attributes of several sources is on nobody's account. */
function accountOf({ sources: [source, ...others] }: Attempt, shares: ReadonlyMap<string, number>) {
  const units = source === undefined || others.length > 0 ? undefined : shares.get(source)
  return source === undefined || units === undefined ? undefined : { name: source, units }
}

function fitOf({ visitor, attributes, encoding }: Attempt, wire: Wire) {
  // Calls that were encoded for other settings are not those that this door may make.
  if (encoding?.wire === wire) return { fitting: attributes, unfit: [], calls: encoding.calls }
  const whole = encodeCalls(visitor, attributes, wire)
  if (whole.ok) return { fitting: attributes, unfit: [], calls: whole.calls }
  const tooLarge = new Set(whole.tooLarge)
  const fitting = attributes.filter(({ name }) => !tooLarge.has(name))
  const rest = encodeCalls(visitor, fitting, wire)
  return {
    fitting,
    unfit: attributes.filter(({ name }) => tooLarge.has(name)),
    calls: rest.ok ? rest.calls : [],
  }
}
