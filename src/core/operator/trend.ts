/** How much waited, by slot, as the ledger keeps it between runs. */
import { given } from '../given.ts'

export interface TrendPoint {
  /** Where its slot begins, epoch ms. */
  readonly atMs: number
  readonly waiting: number
  /** Since when the oldest waits, epoch ms. */
  readonly oldestMs?: number
}

export const trendMemo = 'backlog-trend'
/** Times are kept in seconds: a hundred slots are a kilobyte or two. */
const secondMs = 1_000

/** @param points oldest first */
export function writeTrend(points: readonly TrendPoint[]): string {
  return JSON.stringify(
    points.map(({ atMs, waiting, oldestMs }) => [
      atMs / secondMs,
      waiting,
      ...(oldestMs === undefined ? [] : [Math.floor(oldestMs / secondMs)]),
    ]),
  )
}

/** Oldest first; none where another version wrote them. */
export function readTrend(text: string | undefined): readonly TrendPoint[] {
  try {
    const points = JSON.parse(text ?? '[]') as unknown
    return Array.isArray(points) ? points.flatMap(pointOf) : []
  } catch {
    return []
  }
}

function pointOf(point: unknown): readonly TrendPoint[] {
  const [atS, waiting, oldestS] = Array.isArray(point) ? (point as readonly unknown[]) : []
  if (typeof atS !== 'number' || typeof waiting !== 'number') return []
  const oldestMs = typeof oldestS === 'number' ? oldestS * secondMs : undefined
  return [{ atMs: atS * secondMs, waiting, ...given({ oldestMs }) }]
}
