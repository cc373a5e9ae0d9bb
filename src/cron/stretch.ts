/**
 * What a run reads before it works on it: so many pages of the ring that who has waited longest goes first over
 * thousands of entries, not page by page.
 *
 * Guarantee (G7): reading a stretch takes one page, or as many more as a quarter of the operations and a tenth of a
 * run's time allow; what was read is worked on, also where the next page can't be read.
 */
import type { KeptEntry, Unreadable } from '../core/backlog/port.ts'
import type { Limits } from '../core/limits.ts'
import { type Budget, type Stop, stopOf } from './budget.ts'

type Items = readonly (KeptEntry | Unreadable)[]

export interface Stretch {
  readonly items: Items
  /** Where the first page began in which there is something to do. */
  readonly from: string
  /** Nothing is behind it. */
  readonly isLast: boolean
  /** Why nothing more can be read. */
  readonly stop: Stop | undefined
}

export interface StretchParts {
  readonly budget: Pick<Budget, 'next' | 'read' | 'operationsLeft' | 'elapsedMs'>
  readonly maxMs: number
  readonly limits: Pick<Limits, 'entriesTogether' | 'bytesPerPage'>
  /** Where the next page begins. */
  readonly position: () => string
}

/** The fewest that do something: a list, a bulk read, and a dead letter, a put-back and a delete. */
export const operationsAPage = 5
const shareOfOperations = 1 / 4
const shareOfTime = 1 / 10

export async function readStretch(
  pages: Pick<AsyncGenerator<Items>, 'next'>,
  { budget, maxMs, limits, position }: StretchParts,
): Promise<Stretch> {
  const items: (KeptEntry | Unreadable)[] = []
  const beganMs = budget.elapsedMs()
  const operations = budget.operationsLeft()
  const isEnough = () =>
    items.length >= limits.entriesTogether ||
    bytesOf(items) >= limits.bytesPerPage ||
    budget.elapsedMs() - beganMs >= maxMs * shareOfTime ||
    budget.operationsLeft() < operations * (1 - shareOfOperations)
  let from = position()
  for (;;) {
    if (items.length === 0) from = position()
    let page: IteratorResult<Items> | undefined
    const stop = await stopOf(async () => {
      // Otherwise every run that comes this far with so little left would read a page and do nothing of it.
      await budget.next(operationsAPage)
      page = await budget.read(() => pages.next())
    })
    if (page === undefined || page.done === true) return { items, from, isLast: stop === undefined, stop }
    items.push(...page.value)
    if (isEnough()) return { items, from, isLast: false, stop: undefined }
  }
}

function bytesOf(items: Items): number {
  return items.reduce(
    (sum, item) => sum + ('entry' in item ? item.entry.attributes.reduce((all, one) => all + one.value.length, 0) : 0),
    0,
  )
}
