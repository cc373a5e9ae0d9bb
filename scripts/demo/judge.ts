/**
 * A simple oracle: works out what each profile must hold from what was sent and answered, and checks what the emulator has and
 * counted against it. It knows nothing of the relay's internals.
 */
import type { Statistics } from '../../src/emulator/emulator.ts'
import type { DemoEvent } from './events.ts'

export interface Sent {
  readonly event: DemoEvent
  readonly status: number
  readonly answer: string
}

export interface Judgement {
  readonly received: number
  readonly submitted: number
  readonly deferred: number
  readonly replayed: number
  readonly calls: number
  readonly callsSaved: number
  readonly maxInWindow: number
  readonly quota: number
  readonly lost: number
  readonly stale: number
}

export function judge(
  sent: readonly Sent[],
  profileOf: (visitor: string) => Readonly<Record<string, string>> | undefined,
  statistics: Pick<Statistics, 'calls' | 'maxInWindow'>,
  stillWaiting: number,
  quota: number,
): Judgement {
  const acknowledged = sent.filter(({ status }) => status >= 200 && status < 300)
  const newestFirst = [...acknowledged].sort((a, b) => b.event.occurredAtMs - a.event.occurredAtMs)
  // For each visitor and attribute: the values that were sent, the newest first.
  const history = new Map<string, { visitor: string; name: string; values: string[] }>()
  for (const { event } of newestFirst)
    for (const [name, value] of Object.entries(event.expected)) {
      const key = JSON.stringify([event.visitor, name])
      const known = history.get(key)
      if (known === undefined) history.set(key, { visitor: event.visitor, name, values: [value] })
      else known.values.push(value)
    }
  let lost = 0
  let stale = 0
  for (const { visitor, name, values } of history.values()) {
    const held = profileOf(visitor)?.[name]
    if (held === values[0]) continue
    if (held !== undefined && values.includes(held)) stale++
    else lost++
  }
  const of = (answer: string) => acknowledged.filter((one) => one.answer === answer).length
  const [submitted, deferred] = [of('submitted'), of('deferred')]
  const replayed = deferred - stillWaiting
  return {
    received: acknowledged.length,
    submitted,
    deferred,
    replayed,
    calls: statistics.calls,
    callsSaved: submitted + replayed - statistics.calls,
    maxInWindow: statistics.maxInWindow,
    quota,
    lost: lost + stillWaiting,
    stale,
  }
}

export function isClean({ received, lost, stale, maxInWindow, quota }: Judgement): boolean {
  return received > 0 && lost === 0 && stale === 0 && maxInWindow <= quota
}
