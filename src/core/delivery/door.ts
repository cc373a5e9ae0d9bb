/**
 * The one door: admit, then send, then settle. Live traffic and replay both pass here, so that "no call without
 * admission" (G1) is written once.
 *
 * Guarantee: a call is started only for attributes that the ledger answered `send` for, within START of the moment the
 * admission was asked for, and every started call has its units. If `admit` rejects, the ledger is silent, and the
 * caller sends nothing.
 * Known hole: a process that dies between Target's answer and `settle` leaves the attempt open; it is sent again under
 * the same stamp.
 */
import type { Clock, Random } from '../clock.ts'
import { createConnections } from '../connections.ts'
import { given } from '../given.ts'
import type { Ledger } from '../ledger/port.ts'
import { startWithinMs } from '../ledger/rules/in-flight.ts'
import type { Hasher } from '../update/hash.ts'
import type { Lane, StampedAttribute } from '../update/update.ts'
import type { Wire } from '../wire/calls.ts'
import type { Target } from '../wire/port.ts'
import { type Admitted, type Attempt, askedOf, callsOf, nothingAsked, requestOf } from './attempt.ts'
import { backoffMs } from './backoff.ts'
import { type Passage, passageOf, type Try } from './passage.ts'

export interface Door {
  /** Rejects when the ledger does not answer in time. At most 100 attempts. */
  admit(attempts: readonly Attempt[], lane: Lane): Promise<readonly Admitted[]>
  /**
   * Makes the calls that were admitted. Never rejects.
   *
   * @returns a passage for each admitted attempt, in order
   */
  send(admitted: readonly Admitted[], options?: SendOptions): Promise<readonly Passage[]>
}

export interface SendOptions {
  /** Makes a call once it has a connection. Default: four at once. */
  readonly connect?: (call: () => Promise<void>) => Promise<void>
  /** Asked before each call; what is in a call that may not start counts as unsent. */
  readonly mayStart?: () => boolean
  /** Told once no call waits for a connection. */
  readonly allStarted?: () => void
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
  /** The sources that skip what is unchanged, and what tells that. */
  readonly skipping: ReadonlySet<string>
  readonly hasher: Pick<Hasher, 'value'>
}

/** A Worker has 6 connections that wait for headers; ledger and backlog need theirs. */
const sendsAtOnce = 4
const fourAtOnce = () => {
  const connections = createConnections(sendsAtOnce, ['call'])
  return (call: () => Promise<void>) => connections.use('call', call)
}
const tokenBytes = 12

export function createDoor(parts: DoorParts): Door {
  const { ledger, target, wire, clock, random, backoffBaseMs, shares, skipping, hasher } = parts
  return {
    async admit(attempts, lane) {
      const hashed = skipping.size === 0 ? attempts : await Promise.all(attempts.map(withHashes))
      const requestedAtMs = clock.now()
      const asked = hashed.map((attempt) => askedOf(attempt, random.hex(tokenBytes), wire, shares))
      const wanted = asked.filter(({ attempt }) => attempt.attributes.length > 0)
      const admissions = wanted.length === 0 ? [] : await ledger.admit(wanted.map(requestOf), lane)
      if (admissions.length < wanted.length) throw new Error('the ledger answered fewer admissions than were asked for')
      const answers = new Map(wanted.map((one, index) => [one, admissions[index]]))
      return asked.map((one) => ({ ...one, admission: answers.get(one) ?? nothingAsked, requestedAtMs }))
    },

    async send(admitted, options = {}) {
      const plans = admitted.map((one) => ({
        one,
        tries: callsOf(one, wire).map((call): Try => ({ call, sent: { kind: 'unsent', why: 'late' } })),
      }))
      const queue = plans.flatMap(({ one, tries }) =>
        tries.map((attempted) => ({ attempted, startByMs: one.requestedAtMs + startWithinMs })),
      )
      const limited = await sendAll(queue, options)
      return plans.map(({ one, tries }) => passageOf(one, tries, limited, waitOf))
    },
  }

  /** With the hashes of those values whose source skips what is unchanged. */
  async function withHashes(attempt: Attempt): Promise<Attempt> {
    const [only, ...others] = attempt.sources
    if (!attempt.sources.some((source) => skipping.has(source))) return attempt
    const hashOf = async ({ name, value, source = others.length === 0 ? only : undefined }: StampedAttribute) =>
      source !== undefined && skipping.has(source) ? hasher.value(attempt.visitorHash, name, value) : undefined
    const attributes = attempt.attributes.map(async (one) => ({ ...one, ...given({ hash: await hashOf(one) }) }))
    return { ...attempt, attributes: await Promise.all(attributes) }
  }

  /** Answers whether the platform allowed no more calls. */
  async function sendAll(
    queue: readonly { readonly attempted: Try; readonly startByMs: number }[],
    { connect = fourAtOnce(), mayStart = () => true, allStarted = () => {} }: SendOptions,
  ): Promise<boolean> {
    let limited = false
    let waiting = queue.length
    if (waiting === 0) allStarted()
    const start = async ({ attempted, startByMs }: (typeof queue)[number]) => {
      if (--waiting === 0) allStarted()
      if (limited || clock.now() > startByMs || !mayStart()) return
      const sent = await target.send(attempted.call, startByMs)
      if (sent.kind === 'unsent' && sent.why === 'limit') limited = true
      attempted.sent = sent
    }
    await Promise.all(queue.map((one) => connect(() => start(one))))
    return limited
  }

  function waitOf(attempts: number, retryAfterMs: number | undefined): number {
    return backoffMs(attempts, backoffBaseMs, retryAfterMs, random.fraction())
  }
}
