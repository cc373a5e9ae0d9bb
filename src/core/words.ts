/** Figures, spans and times as a person reads them, and tables of them. */

const [secondMs, minuteMs, hourMs, dayMs] = [1_000, 60_000, 3_600_000, 86_400_000]

/** `12,400`. */
export function figure(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** `1 entry`, `12,400 entries`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${figure(count)} ${count === 1 ? one : many}`
}

/** `45 s`, `12 min`, `1 h 10 min`, `3 d 4 h`. @param ms negative spans count as none */
export function span(ms: number): string {
  if (ms < minuteMs) return `${Math.max(0, Math.round(ms / secondMs))} s`
  if (ms < hourMs) return `${Math.floor(ms / minuteMs)} min`
  const [large, small, unit, part] = ms < dayMs ? [hourMs, minuteMs, 'h', 'min'] : [dayMs, hourMs, 'd', 'h']
  const rest = Math.floor((ms % large) / small)
  return `${Math.floor(ms / large)} ${unit}${rest === 0 ? '' : ` ${rest} ${part}`}`
}

/** Times of one page, in one zone. */
export interface Clock {
  readonly nowMs: number
  /** A name of the IANA database; undefined for the machine's own. */
  readonly zone?: string | undefined
}

/** `17:40` for a time of today, else `2026-11-28 09:05`; in the page's zone. */
export function clockTime(iso: string, { nowMs, zone }: Clock): string {
  const [day, time] = partsOf(Date.parse(iso), zone)
  return day === partsOf(nowMs, zone)[0] ? time : `${day} ${time}`
}

/** `UTC`, `UTC+01:00`. */
export function zoneOf({ nowMs, zone }: Clock): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'longOffset', timeZone: zone }).formatToParts(nowMs)
  return (parts.find(({ type }) => type === 'timeZoneName')?.value ?? 'GMT').replace('GMT', 'UTC').replace('+00:00', '')
}

function partsOf(atMs: number, zone: string | undefined): readonly [day: string, time: string] {
  // Sweden writes ISO 8601.
  const text = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'short', timeZone: zone }).format(atMs)
  const [day = '', time = ''] = text.split(' ')
  return [day, time]
}

/** `quota 11,900 · contended 500`, the largest first; empty where there is none. */
export function breakdown(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort(([a, most], [b, less]) => less - most || (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${figure(count)}`)
    .join(' · ')
}

/** Rows under a head, in columns; a column of figures is set to the right. */
export function* table(head: readonly string[], rows: readonly (readonly string[])[]): Generator<string> {
  const cells = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const figures = head.map((_, column) => rows.length > 0 && rows.every((row) => /^[\d,]*$/.test(row[column] ?? '')))
  for (const row of cells)
    yield row
      .map((cell, column) =>
        figures[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
}
