/**
 * Compares units with calls: how many units that the ledger counted had no call. The ledger is asked repeatedly, since it
 * forgets what left its window and a unit may be given back late. After a loss of state a whole quota is charged: from
 * each loss until its end neither units nor calls are counted.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { testSecrets } from '../support/secrets.ts'

const everyMs = 2_000
const patienceMs = 1_500
/** How long after a loss, or its repair, a whole quota may be charged. */
const chargedWithinMs = 10_000

export interface UnitWatch {
  /** State is lost from now on. Call the returned function when that is over; counting resumes a while later. */
  loses(): () => void
  stop(): Promise<void>
  /** Negative if some units were not seen. */
  withoutCall(arrivals: readonly number[]): number
}

export function watchUnits(origins: () => readonly string[], windowMs: number): UnitWatch {
  const unitsByStart = new Map<number, number>()
  const leftOut: { readonly fromMs: number; toMs: number }[] = []
  const counts = (ms: number) => !leftOut.some(({ fromMs, toMs }) => ms >= fromMs && ms <= toMs)
  let watching = true
  const work = (async () => {
    for (let last = false; !last; ) {
      last = !watching
      for (const origin of origins()) if (await look(origin)) break
      if (!last) await sleep(everyMs)
    }
  })()
  return {
    loses: () => {
      const interval = { fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY }
      leftOut.push(interval)
      return () => {
        interval.toMs = Date.now() + chargedWithinMs
      }
    },
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
      const { buckets } = (await response.json()) as {
        buckets?: readonly (readonly [startMs: number, units: number])[]
      }
      if (buckets === undefined) return false
      // A bucket whose units were all given back is no longer listed; nor is a lost one, but that was counted.
      const sinceMs = Math.max(Date.now() - windowMs, leftOut.at(-1)?.fromMs ?? 0)
      for (const startMs of unitsByStart.keys()) if (startMs > sinceMs) unitsByStart.delete(startMs)
      for (const [startMs, units] of buckets) unitsByStart.set(startMs, units)
      return true
    } catch {
      return false
    }
  }
}
