/**
 * Units against calls: of the units that the ledger counted, how many had no call. It is asked again and again, since it
 * forgets what left its window, and a unit may be given back late. Where state was lost a whole quota is charged: from each
 * loss until its end neither units nor calls are looked at.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { testSecrets } from '../support/secrets.ts'

const everyMs = 2_000
const patienceMs = 1_500

export interface UnitWatch {
  /** Not looked at, epoch ms. */
  leaveOut(fromMs: number, toMs: number): void
  stop(): Promise<void>
  /** Negative where a part of the units was not seen. */
  withoutCall(arrivals: readonly number[]): number
}

export function watchUnits(origins: () => readonly string[], windowMs: number): UnitWatch {
  const unitsByStart = new Map<number, number>()
  const leftOut: (readonly [fromMs: number, toMs: number])[] = []
  const counts = (ms: number) => !leftOut.some(([from, to]) => ms >= from && ms <= to)
  let watching = true
  const work = (async () => {
    for (let last = false; !last; ) {
      last = !watching
      for (const origin of origins()) if (await look(origin)) break
      if (!last) await sleep(everyMs)
    }
  })()
  return {
    leaveOut: (from, to) => leftOut.push([from, to]),
    stop: () => {
      watching = false
      return work
    },
    withoutCall: (arrivals) => {
      let units = 0
      for (const [startMs, some] of unitsByStart) if (counts(startMs)) units += some
      return units - arrivals.filter(counts).length
    },
  }

  async function look(origin: string): Promise<boolean> {
    try {
      const response = await fetch(`${origin}/admin/api/status`, {
        headers: { authorization: `Bearer ${testSecrets.adminToken}` },
        signal: AbortSignal.timeout(patienceMs),
      })
      const { buckets } = (await response.json()) as { buckets?: readonly (readonly [startMs: number, units: number])[] }
      if (buckets === undefined) return false
      // What was given back to the last unit is listed no more.
      const sinceMs = Date.now() - windowMs
      for (const startMs of unitsByStart.keys()) if (startMs > sinceMs) unitsByStart.delete(startMs)
      for (const [startMs, units] of buckets) unitsByStart.set(startMs, units)
      return true
    } catch {
      return false
    }
  }
}
