/** Who sends what and when: realistic traffic, with senders that retry, repeat and send out of order. */
import type { Random } from '../../src/core/clock.ts'
import { testSecrets } from '../support/secrets.ts'
import type { Coverage, Kind } from './coverage.ts'
import { between, magnitude, type Night, pick as pickOf } from './draws.ts'
import type { Isolate } from './isolate.ts'
import { bulkToken, highToken } from './knobs.ts'
import type { Oracle, SimEvent } from './oracle.ts'
import { poisonMark, refusedMark } from './target.ts'
import type { VirtualTime } from './time.ts'

export interface SenderWorld {
  readonly time: VirtualTime
  readonly random: Random
  readonly oracle: Oracle
  readonly coverage: Coverage
  readonly trace: (line: string) => void
  readonly gentle: boolean
  readonly isolate: () => Promise<Isolate>
}

export interface Sender {
  readonly atMs: number
  run(world: SenderWorld): Promise<unknown>
}

export interface Traffic {
  readonly lengthMs: number
  readonly senders: readonly Sender[]
  /** The visitors of all events, each as often as it has events; the same for values. */
  visitors(): readonly string[]
  values(): readonly string[]
  /** Senders that send older values long after the others. */
  late(nowMs: number, agesMs: readonly [least: number, most: number]): readonly Sender[]
}

/** Where in the run (0..1) an event falls. */
const shapes: Readonly<Record<string, (random: Random) => number>> = {
  steady: (random) => random.fraction(),
  'nightly batch': (random) => (random.fraction() < 0.8 ? 0.3 + random.fraction() * 0.02 : random.fraction()),
  'late batch, then twice the demand': (random) =>
    random.fraction() < 0.4 ? 0.2 + random.fraction() * 0.02 : 0.4 + random.fraction() * 0.6,
  'campaign spike': (random) => (random.fraction() < 0.6 ? 0.5 + random.fraction() * 0.1 : random.fraction()),
  'outage and catch-up': (random) => {
    const place = random.fraction()
    return place > 0.3 && place < 0.6 ? 0.6 + random.fraction() * 0.05 : place
  },
}
const shapeNames = Object.keys(shapes)
/** Sizes that may not fit in a GET. */
const maxGetBytes = 2_000
const awkward = ['', 'æøå', '日本語', 'a&b=c', '100%', '+ +', '\u{1F600}', '"<x>"', "it's", '\t\n']

/** @param marked whether some events are refused or poison Target */
export function drawTraffic(random: Random, startMs: number, marked: boolean, night: Night): Traffic {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random.fraction() * items.length)] as T
  const lengthMs = 300_000 + Math.floor(random.fraction() * 600_000)
  const place = shapes[pick(shapeNames)] ?? ((some: Random) => some.fraction())
  const visitors = 2 + Math.floor(random.fraction() * 20)
  /** Zipf distribution: the first visitors have most of the events. */
  const visitor = () => `PII-visitor-${Math.min(visitors - 1, Math.floor(visitors ** random.fraction()) - 1)}`
  const count = 20 + Math.floor(random.fraction() * 60)
  const deniedVisitor = night.has('denials') && night.random('denials').fraction() < 0.5 ? visitor() : undefined
  const values = night.has('unchanged') ? awkward.slice(1, 3) : awkward
  const ranks = new Set<number>()
  const events: SimEvent[] = []
  const senders: Sender[] = []
  let serial = 0

  const token = () =>
    night.has('lanes')
      ? pickOf(night.random('lanes'), [testSecrets.apiToken, highToken, bulkToken])
      : testSecrets.apiToken
  const makeEvent = (source: string, who: string, names: readonly string[], rank: number, size = 0): SimEvent => {
    const number = ++serial
    const drawn = !marked ? '' : random.fraction() < 0.04 ? refusedMark : random.fraction() < 0.01 ? poisonMark : ''
    const denied = night.has('denials') && (who === deniedVisitor || night.random('denials').fraction() < 0.03)
    const mark = denied ? poisonMark : drawn
    const attributes = new Map(
      names.map(
        // Those without a time can't be told apart by it: each has a value of its own.
        (name, index) =>
          [
            name,
            `PII-value-${number}-${index} ${mark}${pick(values)}${'x'.repeat(size)}${name === 'step' ? number : ''}`,
          ] as const,
      ),
    )
    const event: SimEvent = {
      serial: number,
      source,
      visitor: who,
      attributes,
      rank,
      ...(size > maxGetBytes ? { mayBeRefused: true } : {}),
    }
    events.push(event)
    return event
  }

  const timed = (atMs: number): SimEvent => {
    let rank = Math.floor(atMs - 5_000 - random.fraction() * 1_200_000)
    while (ranks.has(rank)) rank--
    ranks.add(rank)
    const large = random.fraction() < 0.02
    const names = ['tier', 'city', 'score'].filter(() => large || random.fraction() < 0.5)
    return makeEvent('api', visitor(), names.length === 0 ? ['tier'] : names, rank, large ? 25_000 : 0)
  }

  const groups = Math.ceil(count * 0.7)
  for (let index = 0; index < groups; index++) {
    const atMs = startMs + place(random) * lengthMs
    const kind = random.fraction()
    const lane = token()
    if (kind < 0.1) {
      const some = Array.from({ length: 2 + Math.floor(random.fraction() * 4) }, () => timed(atMs))
      senders.push({ atMs, run: (world) => sendAll(world, some, () => updatesRequest(some, lane)) })
    } else if (kind < 0.25) {
      // The same attribute of the same visitors, sent at once and held back.
      const source = kind < 0.2 ? 'kiosk' : 'sign-up'
      const event = makeEvent(
        source,
        `PIIkiosk${Math.floor(random.fraction() * 3)}`,
        ['lastKioskPage'],
        Math.floor(atMs - 10_000 - index),
      )
      senders.push({ atMs, run: (world) => sendAll(world, [event], () => kioskRequest(event)) })
    } else {
      const event = timed(atMs)
      senders.push({ atMs, run: (world) => sendAll(world, [event], () => updatesRequest([event], lane)) })
    }
  }
  // Events without a time of their own are ordered by arrival, so their sender waits for each answer.
  for (let chain = 0; chain < 2; chain++) {
    const who = `PII-chain-${chain}`
    const atMs = startMs + place(random) * lengthMs
    const some = Array.from({ length: 2 + Math.floor(random.fraction() * 5) }, (_, index) => ({
      ...makeEvent('api', who, ['step'], index),
      timeless: true,
    }))
    const lane = token()
    senders.push({
      atMs,
      run: async (world) => {
        for (const event of some) {
          if (!(await sendAll(world, [event], () => updatesRequest([event], lane, false)))) return
          await world.time.sleep(4_000 + world.random.fraction() * 8_000)
        }
      },
    })
  }
  drawMore()
  return {
    lengthMs,
    senders,
    visitors: () => events.map(({ visitor }) => visitor),
    values: () => events.flatMap(({ attributes }) => [...attributes.values()]),
    late,
  }

  /** Traffic that is slow to simulate, or has sizes that no other night has. */
  function drawMore(): void {
    const send = (kind: Kind, [atMs, event]: readonly [number, SimEvent]) => {
      events.push(event)
      senders.push({
        atMs,
        run: (world) => {
          world.coverage[kind]++
          return sendAll(world, [event], () => updatesRequest([event], testSecrets.apiToken))
        },
      })
    }
    const own = (some: Random, who: string, attributes: ReadonlyMap<string, string>): [number, SimEvent] => {
      const atMs = startMs + some.fraction() * lengthMs
      let rank = Math.floor(atMs - 5_000 - some.fraction() * 600_000)
      while (ranks.has(rank)) rank--
      ranks.add(rank)
      return [atMs, { serial: ++serial, source: 'api', visitor: who, attributes, rank, mayBeRefused: true }]
    }
    const valued = (names: readonly string[], text: (index: number) => string) =>
      new Map(names.map((name, index) => [name, `PII-value-${serial + 1}-${index} ${text(index)}`] as const))
    if (night.has('hot visitor')) {
      const some = night.random('hot visitor')
      for (let left = between(some, 150, 400); left > 0; left--) {
        const names = pickOf(some, [['tier'], ['city'], ['tier', 'score'], ['tier', 'city', 'score']])
        const attributes = valued(names, () => pickOf(some, awkward))
        send('events of a hot visitor', own(some, 'PII-visitor-hot', attributes))
      }
    }
    if (night.has('reused ids')) {
      const some = night.random('reused ids')
      for (let left = between(some, 3, 8); left > 0; left--) {
        const onHook = some.fraction() < 0.5
        const [atMs, first] = own(
          some,
          onHook ? `PIIkiosk${between(some, 0, 2)}` : `PII-visitor-${between(some, 0, visitors - 1)}`,
          new Map(),
        )
        const one = (rank: number, more: Partial<SimEvent>): SimEvent => ({
          ...first,
          ...more,
          serial: more.serial ?? first.serial,
          source: onHook ? 'kiosk' : 'api',
          attributes: new Map([[onHook ? 'lastKioskPage' : 'tier', `PII-value-${more.serial ?? first.serial}-0 `]]),
          rank,
        })
        // Refused if the first one is known; otherwise, or on a hook, an event like any other.
        const [event, other] = [
          one(first.rank, { mayBeRefused: false }),
          one(first.rank + 1, { serial: ++serial, id: first.serial, mayBeRefused: !onHook }),
        ]
        ranks.add(other.rank)
        events.push(event, other)
        const request = (it: SimEvent) => () => (onHook ? kioskRequest(it) : updatesRequest([it], testSecrets.apiToken))
        senders.push({
          atMs,
          run: async (world) => {
            if (!(await sendAll(world, [event], request(event)))) return
            world.coverage['ids used again']++
            await sendAll(world, [other], request(other))
          },
        })
      }
    }
    if (night.has('odd sizes') || night.has('sick key') || night.has('slow key')) {
      const some = night.random(night.has('odd sizes') ? 'odd sizes' : 'sick key')
      // Tiny limits make many attempts of a few attributes.
      const most = night.has('tiny limits') ? 40 : 400
      for (let left = between(some, 3, 8); left > 0; left--) {
        const who = `PII-visitor-${between(some, 0, visitors - 1)}`
        const kind = night.has('odd sizes') ? some.fraction() : 0.5
        if (kind < 0.35) {
          const names = Array.from({ length: magnitude(some, 5, most) }, (_, index) => `many${index}`)
          const attributes = valued(names, () => '')
          send('updates of very many attributes', own(some, who, attributes))
        } else if (kind < 0.7) {
          const names = ['essay', 'tier'].slice(0, between(some, 1, 2))
          const attributes = valued(names, () => 'x'.repeat(magnitude(some, 500, 40_000)))
          send('updates of many kilobytes', own(some, who, attributes))
        }
        // One empty value a night, since it can't identify its event.
        else if (!events.some(({ attributes }) => attributes.has('a')))
          send('updates of nearly nothing', own(some, who, new Map([['a', '']])))
      }
    }
  }

  function late(nowMs: number, [leastMs, mostMs]: readonly [number, number]): readonly Sender[] {
    const some = night.random('knobs')
    return Array.from({ length: 5 }, () => pickOf(some, events)).flatMap((event) => {
      if (event.source !== 'api' || event.timeless === true) return []
      const rank = nowMs - between(some, leastMs, mostMs)
      if (rank >= event.rank) return []
      const older = {
        ...makeEvent('api', event.visitor, [...event.attributes.keys()].slice(0, 3), rank),
        mayBeRefused: true,
      }
      return [
        {
          atMs: nowMs,
          run: (world: SenderWorld) => sendAll(world, [older], () => updatesRequest([older], testSecrets.apiToken)),
        },
      ]
    })
  }
}

const origin = 'https://relay.example'
const post = (path: string, token: string, body: unknown) =>
  new Request(`${origin}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  })

function updatesRequest(events: readonly SimEvent[], token: string, withTime = true): Request {
  const updates = events.map(({ serial, id = serial, visitor, attributes, rank }) => ({
    id: `event-${id}`,
    visitor: { thirdPartyId: visitor },
    attributes: Object.fromEntries(attributes),
    ...(withTime ? { occurredAt: rank } : {}),
  }))
  return post('/v1/updates', token, updates.length === 1 ? updates[0] : { updates })
}

function kioskRequest({ serial, id = serial, source, visitor, attributes, rank }: SimEvent): Request {
  const event = {
    session: `event-${id}`,
    pcId: visitor,
    page: attributes.get('lastKioskPage'),
    at: new Date(rank).toISOString(),
  }
  return post(`/hooks/${source}`, testSecrets.hook(source), event)
}

const maxTries = 12
/** Events of a chain without times are more than twice this apart. */
const toleranceMs = 1_500
/** To a clock this far off, correct times are too old or in the future. */
const refusingMs = 60_000

/** Sends until it is acknowledged or given up, and sometimes once more. True if it was acknowledged. */
async function sendAll(world: SenderWorld, events: readonly SimEvent[], request: () => Request): Promise<boolean> {
  const { time, random, oracle, coverage, trace } = world
  for (const event of events) oracle.register(event)
  coverage.events += events.length
  const label = `events ${events.map(({ serial }) => serial).join(',')}`
  for (let tries = 0; tries < maxTries; tries++) {
    if (tries > 0) coverage['retries of senders']++
    const status = await sendOnce()
    if (status === 'acknowledged') {
      // Webhooks come at least once.
      while (random.fraction() < 0.15) {
        await time.sleep(random.fraction() * 60_000)
        await sendOnce()
      }
      return true
    }
    if (random.fraction() < 0.02) break
    await time.sleep(500 + random.fraction() * 15_000)
  }
  trace(`${label} given up`)
  return false

  async function sendOnce(): Promise<'acknowledged' | 'again'> {
    const isolate = await world.isolate()
    const errorMs = isolate.clockErrorMs()
    const arrivalMs = Math.round(time.nowMs + errorMs)
    for (const event of events) {
      oracle.tried(event, arrivalMs, time.nowMs)
      // Behind the event's own time it is clamped to; or the only order that there is (`clocks.ts`).
      if (event.timeless === true ? Math.abs(errorMs) <= toleranceMs : event.rank <= arrivalMs) continue
      coverage['events that a wrong clock took in']++
      oracle.unorder(event)
    }
    const response = await isolate.request(request())
    if (response === undefined) return 'again'
    const text = await response.text()
    if (!isolate.alive()) return 'again'
    trace(`${label} at ${isolate.name}: ${response.status} ${text.slice(0, 200)}`)
    if (response.status >= 400) oracle.checkDiscreet('an error body', text)
    if (response.status === 503) {
      coverage['refused with 503']++
      return 'again'
    }
    if (response.status === 409) {
      coverage['in flight']++
      return 'again'
    }
    if (
      response.status === 422 &&
      (Math.abs(errorMs) > refusingMs || events.some(({ mayBeRefused }) => mayBeRefused === true))
    ) {
      coverage['events refused with 422']++
      return 'again'
    }
    if (response.status !== 200 && response.status !== 202)
      oracle.fail(`G2: ${label} was answered ${response.status} ${text}`)
    const answer = JSON.parse(text) as {
      results?: { status: string; reason?: string }[]
      status?: string
      reason?: string
    }
    const results = answer.results ?? [answer]
    for (const [index, result] of results.entries()) {
      const event = events[index]
      if (event === undefined) return oracle.fail('more results than updates')
      if (result.status === 'duplicate') coverage.duplicates++
      if (result.status === 'superseded') coverage.superseded++
      if (result.status === 'unchanged') coverage['updates answered unchanged']++
      if (result.status === 'rejected') coverage.rejected++
      if (result.status === 'quarantined') coverage.quarantined++
      if (result.status === 'deferred') coverage[`deferred: ${result.reason}` as 'deferred: quota']++
      oracle.acknowledged(event)
    }
    return 'acknowledged'
  }
}
