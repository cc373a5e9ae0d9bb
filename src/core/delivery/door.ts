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
import type { Ledger } from '../ledger/port.ts'
import { startWithinMs } from '../ledger/rules/in-flight.ts'
import type { Lane } from '../update/update.ts'
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
   * @param mostCalls calls to make at most; what is in the others counts as unsent
   * @returns a passage for each admitted attempt, in order
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

export function createDoor({ ledger, target, wire, clock, random, backoffBaseMs, shares }: DoorParts): Door {
  return {
    async admit(attempts, lane) {
      const requestedAtMs = clock.now()
      const asked = attempts.map((attempt) => askedOf(attempt, random.hex(tokenBytes), wire, shares))
      const wanted = asked.filter(({ attempt }) => attempt.attributes.length > 0)
      const admissions = wanted.length === 0 ? [] : await ledger.admit(wanted.map(requestOf), lane)
      if (admissions.length < wanted.length) throw new Error('the ledger answered fewer admissions than were asked for')
      const answers = new Map(wanted.map((one, index) => [one, admissions[index]]))
      return asked.map((one) => ({ ...one, admission: answers.get(one) ?? nothingAsked, requestedAtMs }))
    },

    async send(admitted, mostCalls = Number.POSITIVE_INFINITY) {
      const plans = admitted.map((one) => ({
        one,
        tries: callsOf(one, wire).map((call): Try => ({ call, sent: { kind: 'unsent', why: 'late' } })),
      }))
      const queue = plans.flatMap(({ one, tries }) =>
        tries.map((attempted) => ({ attempted, startByMs: one.requestedAtMs + startWithinMs })),
      )
      const limited = await sendAll(queue.slice(0, mostCalls))
      return plans.map(({ one, tries }) => passageOf(one, tries, limited, waitOf))
    },
  }

  /** Answers whether the platform allowed no more calls. */
  async function sendAll(queue: { readonly attempted: Try; readonly startByMs: number }[]): Promise<boolean> {
    let limited = false
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const { attempted, startByMs } = next
        if (limited || clock.now() > startByMs) continue
        const sent = await target.send(attempted.call, startByMs)
        if (sent.kind === 'unsent' && sent.why === 'limit') limited = true
        attempted.sent = sent
      }
    }
    await Promise.all(Array.from({ length: Math.min(sendsAtOnce, queue.length) }, worker))
    return limited
  }

  function waitOf(attempts: number, retryAfterMs: number | undefined): number {
    return backoffMs(attempts, backoffBaseMs, retryAfterMs, random.fraction())
  }
}
