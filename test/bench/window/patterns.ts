/** Patterns of requests over three days, drawn at random: what the limiters are asked. */
import { seededRandom } from '../../support/clock.ts'

export interface Pattern {
  readonly kind: Kind
  readonly limit: number
  /** Epoch ms, in order. */
  readonly times: readonly number[]
}

export const kinds = ['steady', 'bursts', 'nightly', 'evening', 'uneven'] as const
export type Kind = (typeof kinds)[number]

const [hourMs, dayMs] = [3_600_000, 86_400_000]
export const patternDays = 3
/** Midnight UTC. */
export const patternStartMs = Date.UTC(2026, 0, 1)

/**
 * - `steady`: evenly, from half to three times the limit a day
 * - `bursts`: up to ten, anywhere, each of up to the limit within minutes
 * - `nightly`: a batch at the same time each day, and a little besides
 * - `evening`: everything in the last hour before midnight UTC and the first one behind it
 * - `uneven`: each hour has a weight of its own, up to fifty times that of another
 */
export function drawPattern(seed: number): Pattern {
  const random = seededRandom(seed)
  const kind = kinds[Math.floor(random.fraction() * kinds.length)] ?? 'steady'
  const limit = 20 + Math.floor(random.fraction() * 180)
  const demand = 0.5 + random.fraction() * 2.5
  const perDay = Math.round(limit * demand)
  const times: number[] = []
  const within = (fromMs: number, spanMs: number, count: number) => {
    for (let n = 0; n < count; n++) times.push(Math.floor(patternStartMs + fromMs + random.fraction() * spanMs))
  }
  if (kind === 'steady') within(0, patternDays * dayMs, perDay * patternDays)
  if (kind === 'bursts') {
    for (let n = 1 + Math.floor(random.fraction() * 10); n > 0; n--)
      within(
        random.fraction() * patternDays * dayMs,
        60_000 + random.fraction() * hourMs,
        Math.ceil(random.fraction() * limit),
      )
  }
  if (kind === 'nightly') {
    const atMs = random.fraction() * (dayMs - hourMs)
    for (let day = 0; day < patternDays; day++) within(day * dayMs + atMs, hourMs, Math.round(perDay * 0.9))
    within(0, patternDays * dayMs, Math.round(perDay * 0.1 * patternDays))
  }
  if (kind === 'evening') for (let day = 1; day <= patternDays; day++) within(day * dayMs - hourMs, 2 * hourMs, perDay)
  if (kind === 'uneven') {
    const weights = Array.from({ length: patternDays * 24 }, () => 50 ** random.fraction())
    const sum = weights.reduce((all, weight) => all + weight, 0)
    for (const [hour, weight] of weights.entries())
      within(hour * hourMs, hourMs, Math.round((perDay * patternDays * weight) / sum))
  }
  return { kind, limit, times: times.sort((a, b) => a - b) }
}
