/**
 * Where in the backlog a run reads: everything when it is small, else the ring of visitor hashes, prefix by prefix, from
 * where the last run stopped, so that nobody at the end of the alphabet starves.
 */
import type { Backlog, KeptEntry, Unreadable } from '../core/backlog/port.ts'

export interface RingPlace {
  /** Leading hex digits that one step of the walk covers, 1..4. */
  readonly digits: number
  /** The prefix to read next. */
  readonly next: string
}

const maxDigits = 4
/** A prefix of more pages than this is split by one more digit in the next run. */
const pagesPerPrefix = 2

export const ringStart: RingPlace = { digits: 1, next: '0' }

/** Reads pages of whatever must be replayed; calls `moved` after each prefix of the ring that was read to its end. */
export async function* walkBacklog(
  backlog: Pick<Backlog, 'list'>,
  place: RingPlace,
  moved: (place: RingPlace) => void,
): AsyncGenerator<readonly (KeptEntry | Unreadable)[]> {
  const first = await backlog.list()
  if (first.cursor === undefined) {
    yield first.items
    return
  }
  let digits = place.digits
  const steps = 16 ** digits
  const start = Number.parseInt(place.next.padEnd(digits, '0').slice(0, digits), 16)
  for (let step = 0; step < steps; step++) {
    const prefix = ((start + step) % steps).toString(16).padStart(place.digits, '0')
    let cursor: string | undefined
    let pages = 0
    do {
      const page = await backlog.list({ prefix, ...(cursor === undefined ? {} : { cursor }) })
      yield page.items
      cursor = page.cursor
      pages++
    } while (cursor !== undefined)
    if (pages > pagesPerPrefix) digits = Math.min(maxDigits, place.digits + 1)
    moved({ digits, next: ((start + step + 1) % steps).toString(16).padStart(place.digits, '0') })
  }
}

/** The place as kept between runs. Anything unreadable starts the ring anew: a place is fairness, not correctness. */
export function readPlace(text: string | undefined): RingPlace {
  const match = /^([1-4]):([0-9a-f]{1,4})$/.exec(text ?? '')
  return match?.[1] === undefined || match[2] === undefined ? ringStart : { digits: Number(match[1]), next: match[2] }
}

export function writePlace({ digits, next }: RingPlace): string {
  return `${digits}:${next}`
}
