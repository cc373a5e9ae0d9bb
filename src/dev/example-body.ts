/** The sample of a source as a body that its sender could send just now. */
import { writeEventJson } from '../core/json.ts'
import { readTime } from '../core/time.ts'
import { encodeUtf8 } from '../edge/auth/encodings.ts'
import { parseEvent } from '../edge/source/mapping.ts'
import type { Source } from '../edge/source/types.ts'

/** How far the time of what was made may be from now: it may be written in whole minutes. */
const nearMs = 60_000

/**
 * The sample may be older than any update that is taken: its time is made now, where it can be told which of its fields
 * holds it.
 *
 * @returns undefined where there is no sample, or no body can be made of it: a source that takes bodies apart
 */
export function exampleBody(source: Source, nowMs: number): Uint8Array<ArrayBuffer> | undefined {
  if (source.sample === undefined) return undefined
  const event = withTimeOfNow(source, nowMs)
  for (const whole of source.splits ? [[event], event] : [event]) {
    const body = written(source, whole)
    if (body !== undefined && givesEvent(source, body, event)) return body
  }
  return undefined
}

function withTimeOfNow(source: Source, nowMs: number): unknown {
  const { sample } = source
  const wasMs = timeOf(source, sample)
  if (wasMs === undefined) return sample
  const fresh = renewed(sample, wasMs, nowMs)
  const isMs = timeOf(source, fresh)
  return isMs !== undefined && Math.abs(isMs - nowMs) <= nearMs ? fresh : sample
}

function timeOf(source: Source, event: unknown): number | undefined {
  const read = source.read(event, { headers: source.sampleHeaders })
  return read.ok ? readTime(read.drafts[0]?.occurredAt) : undefined
}

/** Each value that is this moment, written as before. */
function renewed(value: unknown, wasMs: number, nowMs: number): unknown {
  if (Array.isArray(value)) return value.map((item) => renewed(item, wasMs, nowMs))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, renewed(item, wasMs, nowMs)]))
  if (readTime(value) !== wasMs) return value
  const seconds = Number(value) * 1_000 === wasMs
  const epoch = seconds ? Math.floor(nowMs / 1_000) : nowMs
  if (typeof value === 'number') return epoch
  if (typeof value !== 'string') return value
  if (/^\d+$/.test(value)) return String(epoch)
  return value.startsWith('/Date(') ? `/Date(${nowMs})/` : new Date(nowMs).toISOString()
}

function written({ format }: Source, event: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (format === 'json') return encodeUtf8(writeEventJson(event))
  if (format === 'text') return typeof event === 'string' ? encodeUtf8(event) : undefined
  if (typeof event !== 'object' || event === null) return undefined
  const pairs = Object.entries(event).flatMap(([name, value]) => [value].flat().map((one) => [name, String(one)]))
  return encodeUtf8(new URLSearchParams(pairs).toString())
}

/** Whether the source finds just this event in the body. */
function givesEvent(source: Source, body: Uint8Array, event: unknown): boolean {
  const parsed = parseEvent(source.format, body)
  if (!parsed.ok) return false
  try {
    const events = source.split(parsed.event)
    return events.length === 1 && writeEventJson(events[0]) === writeEventJson(event)
  } catch {
    return false
  }
}
