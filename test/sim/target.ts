/** Adobe Target for the oracle: it decodes with the emulator's reader and misbehaves as the weather says. */
import type { Random } from '../../src/core/clock.ts'
import { decodeUpdate } from '../../src/emulator/decode.ts'
import type { Coverage } from './coverage.ts'
import { type Outages, type Weather, within } from './faults.ts'
import type { Oracle } from './oracle.ts'
import type { VirtualTime } from './time.ts'

const yes = '<response><success>true</success><pcId></pcId><message>Request successfully submitted</message></response>'
const no = '<response><success>false</success><pcId></pcId><message>not accepted</message></response>'
const maxPostBytes = 60_000
/** Only events that need two calls are this large. */
const splitBytes = 45_000
/** Values with these marks are refused, or make Target fail, each time. */
export const refusedMark = '!refused!'
export const poisonMark = '!poison!'

export interface TargetParts {
  readonly time: VirtualTime
  readonly random: Random
  readonly oracle: Oracle
  readonly weather: () => Weather
  readonly outages: () => Outages
  readonly coverage: Coverage
  /** How long after the relay gave up a call it may still be applied. */
  readonly lateMs: number
  readonly timeoutMs: number
  /** Denies each update that would otherwise make it fail. */
  readonly denies: boolean
  /** Called with undefined when a call arrives, and with its kind for a no. */
  readonly saidNo: (
    visitor: string,
    names: Iterable<string>,
    how: 'refused_together' | 'sent_turned_away' | 'sent_denied' | undefined,
  ) => void
  readonly traced: boolean
  readonly trace: (line: string) => void
}

/** The part of `fetch` that the relay's Target adapter uses. */
export function simulatedTarget(parts: TargetParts): typeof globalThis.fetch {
  const { time, random, oracle, coverage } = parts
  return async (input, init) => {
    const url = new URL(String(input))
    const body = init?.method === 'GET' ? url.search.slice(1) : String(init?.body)
    if (init?.method === 'POST' && Buffer.byteLength(body) > maxPostBytes) oracle.fail('G5: a body over 60,000 bytes')
    if (init?.method === 'GET' && url.href.length > 8_000) oracle.fail('G5: a URL over 8,000 bytes')
    await time.sleep(1 + random.fraction() * 20)
    const decoded = decodeUpdate(body)
    if (typeof decoded === 'string') return oracle.fail(`G6: Target could not read a call: ${decoded}`)
    const visitor = decoded.visitor.slice(3)
    const label = !parts.traced
      ? ''
      : `call for ${visitor}: ${[...decoded.pairs].map(([name, value]) => `${name} of event ${oracle.serialOf(value)}`).join(', ')}`
    parts.trace(label)
    const refused = oracle.callStarted(visitor, decoded.pairs, init?.method === 'GET' ? 2 : 1, time.nowMs)
    coverage.calls++
    parts.saidNo(visitor, decoded.pairs.keys(), undefined)
    init?.signal?.addEventListener('abort', () => {
      oracle.failedFor.add(visitor)
    })
    if (body.length > splitBytes) coverage.splits++
    const apply = () => {
      parts.trace(`${label} is applied`)
      oracle.applied(visitor, decoded.pairs)
    }
    const answer = async (status: number, text: string, headers: Record<string, string> = {}) => {
      if (text !== yes) oracle.failedFor.add(visitor)
      await time.sleep(5 + random.fraction() * 60)
      parts.trace(`${label} is answered ${status}`)
      return new Response(text, { status, headers })
    }
    const aborted = () =>
      new Promise<never>((_, reject) => {
        const fail = () => reject(new Error('aborted'))
        if (init?.signal?.aborted === true) fail()
        else init?.signal?.addEventListener('abort', fail)
      })
    const values = [...decoded.pairs.values()]
    const { fail, throttle, hang, reset, late, disbelieve } = parts.weather().target
    const outage = parts.outages().target.find(({ fromMs, toMs }) => within([{ fromMs, toMs }], time.nowMs))
    if (outage?.how === 'down') {
      coverage['calls failed']++
      return answer(503, 'down')
    }
    if (outage?.how === 'wrong') {
      // Every call is refused, so Target has nothing of it: if it was a visitor's last try, an older value may be sent.
      refused(false)
      return answer(401, 'token')
    }
    if (outage?.how === 'systemic') {
      refused(false)
      parts.saidNo(
        visitor,
        decoded.pairs.keys(),
        oracle.eventsIn(decoded.pairs) > 1 ? 'refused_together' : 'sent_turned_away',
      )
      return answer(404, 'no such client')
    }
    if (parts.denies && values.some((value) => value.includes(poisonMark))) {
      coverage['calls denied']++
      parts.saidNo(visitor, decoded.pairs.keys(), 'sent_denied')
      refused(false)
      return answer([401, 403, 302][Math.floor(random.fraction() * 3)] ?? 403, 'denied')
    }
    if (values.some((value) => value.includes(poisonMark))) {
      coverage['calls failed']++
      return answer(500, 'poison')
    }
    if (values.some((value) => value.includes(refusedMark))) {
      coverage['calls refused']++
      if (oracle.eventsIn(decoded.pairs) > 1) {
        coverage['take-aparts']++
        parts.saidNo(visitor, decoded.pairs.keys(), 'refused_together')
      }
      refused(true)
      return random.fraction() < 0.5 ? answer(200, no) : answer(400, no)
    }
    const draw = random.fraction()
    if (draw < fail) {
      coverage['calls failed']++
      // A 5xx may come before or after the update was taken.
      if (random.fraction() < 0.3) apply()
      return answer(500 + Math.floor(random.fraction() * 5), 'failed')
    }
    if (draw < fail + throttle) {
      coverage['calls throttled']++
      const inMs = random.fraction() * 20_000
      const retryAfter =
        random.fraction() < 0.5 ? String(Math.ceil(inMs / 1_000)) : new Date(time.nowMs + inMs).toUTCString()
      return answer(429, 'slow down', { 'retry-after': retryAfter, date: new Date(time.nowMs).toUTCString() })
    }
    if (draw < fail + throttle + hang) {
      coverage['calls that hung']++
      return aborted()
    }
    if (draw < fail + throttle + hang + reset) {
      coverage['calls reset after being taken']++
      oracle.failedFor.add(visitor)
      apply()
      await time.sleep(random.fraction() * 100)
      throw new Error('connection reset')
    }
    if (draw < fail + throttle + hang + reset + late) {
      coverage['calls applied late']++
      time.at(time.nowMs + parts.timeoutMs + random.fraction() * (parts.lateMs - 100), apply)
      return aborted()
    }
    if (draw < fail + throttle + hang + reset + late + disbelieve) {
      coverage['calls not believed']++
      apply()
      return answer(200, '<html>maintenance</html>')
    }
    if (random.fraction() < 0.1) await time.sleep(random.fraction() * 900)
    apply()
    return answer(200, yes)
  }
}
