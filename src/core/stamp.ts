/**
 * Stamps: an update's place in time as text (PROTOCOL.md, "Stamps").
 *
 * `t` + event time in ms (13 digits) + first arrival in ms (13 digits) + 16 hex digits that name the update. Letter-led
 * because the Redis client turns a string of digits into a number; only digits and lower-case letters, because Lua
 * compares strings by the server's collation, which orders those as bytes do.
 */
import type { Stamp } from './update.ts'

const timeDigits = 13
/** 13 digits of milliseconds: the years 1970 to 2286. */
const maxTimeMs = 9_999_999_999_999
const idDigits = 16
const stampPattern = /^t\d{26}[0-9a-f]{16}$/

/** An event time up to this far ahead of arrival is a clock that runs fast, and is clamped to arrival (PROTOCOL.md). */
export const futureToleranceMs = 5 * 60_000

/** A stamp from its three parts. `id` is at least 16 lower-case hex digits that name the update; times are epoch ms. */
export function makeStamp(eventTimeMs: number, arrivalMs: number, id: string): Stamp {
  return `t${digits(eventTimeMs)}${digits(arrivalMs)}${id.slice(0, idDigits)}`
}

/** The event time in a stamp, epoch milliseconds. */
export function stampTimeMs(stamp: Stamp): number {
  return Number(stamp.slice(1, 1 + timeDigits))
}

export function isStamp(text: unknown): text is Stamp {
  return typeof text === 'string' && stampPattern.test(text)
}

export type EventTime = { ok: true; timeMs: number } | { ok: false; error: 'in_future' | 'too_old' }

/**
 * The event time that an update is ordered by.
 *
 * @param claimedMs the source's own time of the event, epoch ms; `undefined` where it gives none
 * @param arrivalMs when the relay first saw it
 * @param retentionMs older than this is refused: its register may be gone already
 */
export function eventTime(claimedMs: number | undefined, arrivalMs: number, retentionMs: number): EventTime {
  if (claimedMs === undefined) return { ok: true, timeMs: arrivalMs }
  if (claimedMs > arrivalMs + futureToleranceMs) return { ok: false, error: 'in_future' }
  if (claimedMs < arrivalMs - retentionMs || claimedMs < 0) return { ok: false, error: 'too_old' }
  return { ok: true, timeMs: Math.min(claimedMs, arrivalMs) }
}

function digits(timeMs: number): string {
  if (!Number.isInteger(timeMs) || timeMs < 0 || timeMs > maxTimeMs) throw new RangeError('a stamp takes whole milliseconds since 1970')
  return String(timeMs).padStart(timeDigits, '0')
}

/** The first arrival in a stamp, epoch milliseconds. */
export function stampArrivalMs(stamp: Stamp): number {
  return Number(stamp.slice(1 + timeDigits, 1 + 2 * timeDigits))
}
