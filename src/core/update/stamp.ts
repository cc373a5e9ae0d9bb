/**
 * Stamps: an update's place in time as text.
 *
 * `t` + event time in ms (13 digits) + first arrival in ms (13 digits) + the place in its batch or event (2 digits of
 * base 36), so that of two updates of one moment the later one in the batch is the newer + 14 hex digits that name the
 * update. Letter-led because the Redis client turns a string of digits into a number; only digits and lower-case
 * letters, because Lua compares strings by the server's collation, which orders those as bytes do.
 */
import type { Stamp } from './update.ts'

const timeDigits = 13
/** 13 digits of milliseconds: the years 1970 to 2286. */
const maxTimeMs = 9_999_999_999_999
const placeDigits = 2
/** Places that two digits of base 36 tell apart. */
export const maxPlaces = 36 ** placeDigits
const idDigits = 14
const stampPattern = /^t\d{26}[0-9a-z]{2}[0-9a-f]{14}$/

/** An event time up to this far ahead of arrival is a clock that runs fast, and is clamped to arrival. */
export const futureToleranceMs = 5 * 60_000

/**
 * A stamp from its parts.
 *
 * @param eventTimeMs, arrivalMs epoch ms
 * @param id at least 14 lower-case hex digits, of which the last 14 name the update
 * @param place of the update in its batch or event, from 0; places beyond the last one count as the last one
 */
export function makeStamp(eventTimeMs: number, arrivalMs: number, id: string, place = 0): Stamp {
  const position = Math.min(place, maxPlaces - 1)
    .toString(36)
    .padStart(placeDigits, '0')
  return `t${digits(eventTimeMs)}${digits(arrivalMs)}${position}${id.slice(-idDigits)}`
}

/** The part of a stamp that names the update: the same in all stamps of one update, whenever it came. */
export function stampName(stamp: Stamp): string {
  return stamp.slice(-idDigits)
}

/** The same stamp at another event time, epoch ms; never an earlier one. */
export function stampAt(stamp: Stamp, eventTimeMs: number): Stamp {
  return `t${digits(Math.max(eventTimeMs, stampTimeMs(stamp)))}${stamp.slice(1 + timeDigits)}`
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
  if (!Number.isInteger(timeMs) || timeMs < 0 || timeMs > maxTimeMs)
    throw new RangeError('a stamp takes whole milliseconds since 1970')
  return String(timeMs).padStart(timeDigits, '0')
}

/** The first arrival in a stamp, epoch milliseconds. */
export function stampArrivalMs(stamp: Stamp): number {
  return Number(stamp.slice(1 + timeDigits, 1 + 2 * timeDigits))
}
