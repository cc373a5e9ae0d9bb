/**
 * Senders that act like real ones: they repeat what was not acknowledged, under the same id, at whichever server answers;
 * some hang up in the middle, some repeat what was acknowledged. The judge checks the relay against what they were told.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/core/clock.ts'
import { beginRequest } from '../support/hang-up.ts'
import { testSecrets } from '../support/secrets.ts'

/** One event: one attribute of one visitor, with a unique value that identifies the event. */
export interface SentEvent {
  /** The visitor as sent to Target, and the attribute. */
  readonly key: string
  /** Its time: of two events with the same key the one with the higher rank is newer. */
  readonly rank: number
  /** The turn in which the acknowledged try began. */
  acknowledgedOf?: number
  /** The status with which it was acknowledged. */
  toldAs?: string
  /** The turn in which the first try began. */
  readonly begunOf: number
  /** When a repeat was answered `duplicate`, epoch ms; only for events that were `submitted`, so nothing of them waits. */
  repeatedMs?: number
}

export interface LoadOptions {
  /** The source of visitors, times and pauses of all senders. */
  readonly random: Pick<Random, 'fraction'>
  /** Where the next request goes; origins without a trailing slash. */
  readonly origin: () => string
  readonly senders: number
  readonly visitors: number
  /** The longest pause between two events of a sender. */
  readonly pauseMs: number
  /** How old an event may be when it is sent. */
  readonly oldestMs?: number
  /** How long a sender waits for an answer. */
  readonly patienceMs?: number
  /** The shares of events whose sender first hangs up, and of submitted events that are sent again. */
  readonly hangUps?: number
  readonly repeats?: number
}

export interface Load {
  /** By value. */
  readonly events: ReadonlyMap<string, SentEvent>
  readonly counts: Readonly<Record<'sent' | 'acknowledged' | 'retries' | 'hungUp' | 'repeated', number>>
  /** Counts what happens in this process: a later moment has a higher turn, whatever the clock does. */
  turn(): number
  /** Sends no new events; resolves once each was acknowledged or given up. */
  stop(): Promise<void>
}

const triesAtMost = 30
/** How long after an event was submitted it is sent again: usually its settle, which follows the answer, is over by then. */
const repeatAfterMs = 400

export function startLoad(options: LoadOptions): Load {
  const {
    random,
    origin,
    senders,
    visitors,
    pauseMs,
    oldestMs = 60_000,
    patienceMs = 15_000,
    hangUps = 0,
    repeats = 0,
  } = options
  const events = new Map<string, SentEvent>()
  const taken = new Set<string>()
  const counts = { sent: 0, acknowledged: 0, retries: 0, hungUp: 0, repeated: 0 }
  let turns = 0
  const turn = () => ++turns
  let loading = true
  let serial = 0

  const sending = Array.from({ length: senders }, async () => {
    while (loading) {
      await sendOne(++serial)
      await sleep(random.fraction() * pauseMs)
    }
  })
  return {
    events,
    counts,
    turn,
    stop: async () => {
      loading = false
      await Promise.all(sending)
    },
  }

  async function sendOne(number: number): Promise<void> {
    const visitor = `visitor-${Math.floor(visitors * random.fraction() ** 2)}`
    const name = `attribute${number % 3}`
    const value = `value-${number}`
    // In no order, and no two equal.
    const rank = Date.now() - 1_000 - Math.floor((random.fraction() * oldestMs) / 1_000) * 1_000
    const key = `3p:${visitor} ${name}`
    if (taken.has(`${key} ${rank}`)) return
    taken.add(`${key} ${rank}`)
    const event: SentEvent = { key, rank, begunOf: turn() }
    events.set(value, event)
    counts.sent++
    const body = JSON.stringify({
      id: value,
      visitor: { thirdPartyId: visitor },
      attributes: { [name]: value },
      occurredAt: rank,
    })
    if (random.fraction() < hangUps) {
      counts.hungUp++
      await hangUpOn(origin(), body, random)
    }
    const told = await untilAcknowledged(event, body)
    if (told !== 'submitted' || random.fraction() >= repeats) return
    await sleep(repeatAfterMs)
    counts.repeated++
    const again = await post(body)
    if (again.told === 'duplicate') event.repeatedMs = Date.now()
  }

  async function untilAcknowledged(event: SentEvent, body: string): Promise<string | undefined> {
    for (let tries = 0; tries < triesAtMost; tries++) {
      const begunOf = turn()
      const { status, told } = await post(body)
      if (status === 200 || status === 202) {
        event.acknowledgedOf = begunOf
        event.toldAs = told
        counts.acknowledged++
        return told
      }
      counts.retries++
      await sleep(300 + random.fraction() * 1_500)
    }
    return undefined
  }

  /** Status 0 if there was no answer. */
  async function post(body: string): Promise<{ readonly status: number; readonly told: string }> {
    try {
      const response = await fetch(`${origin()}/v1/updates`, {
        method: 'POST',
        headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(patienceMs),
      })
      const answer = (await response.json()) as Record<string, unknown>
      return { status: response.status, told: String(answer['status']) }
    } catch {
      return { status: 0, told: '' }
    }
  }
}

/** Sends a request whole or in part, and resets the connection some time later: it may have any outcome. */
async function hangUpOn(origin: string, body: string, random: Pick<Random, 'fraction'>): Promise<void> {
  const share = random.fraction() < 0.5 ? 1 : random.fraction()
  const waitMs = random.fraction() * 300
  // A server that is down accepts no connection.
  const connection = await beginRequest(origin, body, share).catch(() => undefined)
  await sleep(waitMs)
  connection?.resetAndDestroy()
}
