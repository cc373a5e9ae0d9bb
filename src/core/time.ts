/** Times as senders write them, read by one function everywhere, so that all of them are checked alike. */

/** The problem to report for what is in none of these forms. */
export const timeForms =
  'must be a time: ISO 8601 with an offset (2026-11-24T10:00:00Z, 2026-11-24T11:00+01:00), or epoch seconds or milliseconds'

const offsetForm = ' ?(?:[Zz]|([+\\-\u2212])(\\d{2}):?(\\d{2})?)$'
/**
 * RFC 3339, and what senders write instead: an offset without its colon or its minutes, behind a space, or with a minus
 * sign (U+2212); no seconds; any fraction.
 */
const extendedForm = new RegExp(
  `^(\\d{4})-(\\d{2})-(\\d{2})[Tt ](\\d{2})(?::(\\d{2})(?::(\\d{2})(?:[.,](\\d+))?)?)?${offsetForm}`,
)
/** ISO 8601 without hyphens and colons. */
const basicForm = new RegExp(
  `^(\\d{4})(\\d{2})(\\d{2})[Tt](\\d{2})(?:(\\d{2})(?:(\\d{2})(?:[.,](\\d+))?)?)?${offsetForm}`,
)
/** .NET's JSON (`/Date(1795514400000+0100)/`): epoch milliseconds in UTC; the offset only says where it was written. */
const dotNetForm = /^\/Date\((\d+)(?:[+-]\d{4})?\)\/$/
/** Seconds up to the year 5138; as milliseconds it is the spring of 1973, when nobody sent events. */
const leastMs = 100_000_000_000
/**
 * The end of the year 9999, the last that ISO 8601 has. Today's time in microseconds or nanoseconds is far beyond it.
 */
const mostMs = 253_402_300_799_999

/**
 * Epoch milliseconds; undefined where it is in none of the forms. Whether it is too far away is for the caller to
 * decide.
 */
export function readTime(given: unknown): number | undefined {
  if (given instanceof Date) return Number.isNaN(given.getTime()) ? undefined : given.getTime()
  if (typeof given === 'number') return readEpoch(given)
  if (typeof given === 'bigint') return readEpoch(Number(given))
  if (typeof given !== 'string') return undefined
  const text = given.trim()
  if (/^\d+(\.\d+)?$/.test(text)) return readEpoch(Number(text))
  const dotNet = dotNetForm.exec(text)?.[1]
  return dotNet === undefined ? readIsoTime(text) : readEpoch(Number(dotNet), 1)
}

/**
 * Epoch milliseconds of a time in ISO 8601; undefined where it is none, or names no moment: a local time, the 30th of
 * February.
 */
export function readIsoTime(text: string): number | undefined {
  const [matched, year, month, day, hour, minute = '0', second = '0', fraction = '', sign, hours = '0', minutes = '0'] =
    extendedForm.exec(text) ?? basicForm.exec(text) ?? []
  if (matched === undefined) return undefined
  const dayMs = Date.UTC(Number(year), Number(month) - 1, Number(day))
  // `Date.UTC` rolls over a day that does not exist.
  if (!new Date(dayMs).toISOString().startsWith(`${year}-${month}-${day}`)) return undefined
  // 60 is a leap second. The day ends at 24:00.
  const clockMs =
    (Number(hour) * 60 + Number(minute)) * 60_000 + Number(second) * 1_000 + Number(fraction.slice(0, 3).padEnd(3, '0'))
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000
  if (Number(minute) > 59 || Number(second) > 60 || clockMs > 86_401_000 || Number(hours) > 23 || Number(minutes) > 59)
    return undefined
  return dayMs + clockMs - (sign === '+' ? offsetMs : -offsetMs)
}

/** The form that senders must write (RFC 9110 §5.6.7): `Tue, 24 Nov 2026 10:00:00 GMT`. */
const httpForm = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}:\d{2}:\d{2}) GMT$/
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Epoch milliseconds of a date as HTTP has it; undefined where it is none, or its day of the week is another. */
export function readHttpDate(text: string): number | undefined {
  const [matched, day, month = '', year, clock] = httpForm.exec(text) ?? []
  if (matched === undefined || !months.includes(month)) return undefined
  const timeMs = readIsoTime(`${year}-${String(months.indexOf(month) + 1).padStart(2, '0')}-${day}T${clock}Z`)
  // A leap second is the next minute's first.
  return timeMs !== undefined && new Date(timeMs).toUTCString().slice(0, 16) === text.slice(0, 16) ? timeMs : undefined
}

/** ISO 8601 in UTC with milliseconds, of epoch milliseconds. */
export function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** @param fromMs from here on it is milliseconds, below it is seconds */
function readEpoch(given: number, fromMs = leastMs): number | undefined {
  // A double holds such a fraction of seconds only approximately.
  const timeMs = given < fromMs ? Math.floor(Math.round(given * 100_000) / 100) : Math.floor(given)
  return timeMs >= 0 && timeMs <= mostMs ? timeMs : undefined
}
