/** Workers KV as it is in production: behind by up to a minute, slow, throttled, away; a put that failed may be kept. */
import type { Kv } from '../../src/core/backlog/kv.ts'
import type { Random } from '../../src/core/clock.ts'
import type { Coverage } from './coverage.ts'
import { type Outages, type Weather, within } from './faults.ts'
import type { Oracle } from './oracle.ts'
import type { VirtualTime } from './time.ts'

interface Stored {
  readonly value: string
  readonly metadata?: unknown
  /** Seen elsewhere from then on. */
  readonly visibleAtMs: number
  deletedAtMs?: number
  /** Not seen any more from then on. */
  goneAtMs: number
}

export interface KvParts {
  readonly time: VirtualTime
  readonly random: Random
  readonly oracle: Oracle
  readonly weather: () => Weather
  readonly outages: () => Outages
  readonly coverage: Coverage
  /** The values in what is stored, as the oracle needs them. */
  readonly valuesIn: (key: string, value: string, metadata: unknown) => Promise<readonly string[]>
}

export function simulatedKv(parts: KvParts): Kv {
  const { time, random, oracle, coverage } = parts
  const stored = new Map<string, Stored>()
  const lagMs = () => random.fraction() * parts.weather().kvStaleMs

  /** A slow network, and sometimes none; `effect` may have happened all the same. */
  async function travel<T>(effect: () => T, mayBeKept = false): Promise<T> {
    await time.sleep(2 + random.fraction() * 15 + (random.fraction() < parts.weather().kvSlow ? random.fraction() * 3_000 : 0))
    if (within(parts.outages().kv, time.nowMs)) {
      coverage['KV outages']++
      throw new Error('KV: 503')
    }
    if (random.fraction() < parts.weather().kvFail) {
      if (mayBeKept && random.fraction() < 0.4) {
        coverage['KV puts that failed and were kept']++
        effect()
      }
      throw new Error('KV: 429')
    }
    const result = effect()
    await time.sleep(2 + random.fraction() * 15)
    return result
  }

  return {
    put: async (key, value, options) => {
      oracle.checkDiscreet('a KV key', key)
      const values = await parts.valuesIn(key, value, options?.metadata)
      return travel(() => {
        const metadata = options?.metadata
        stored.set(key, {
          value,
          ...(metadata === undefined ? {} : { metadata: structuredClone(metadata) }),
          visibleAtMs: time.nowMs + lagMs(),
          goneAtMs: Number.POSITIVE_INFINITY,
        })
        oracle.stored(key, values)
      }, true)
    },
    delete: (key) =>
      travel(() => {
        const one = stored.get(key)
        if (one === undefined || one.deletedAtMs !== undefined) return
        oracle.deleted(key)
        one.deletedAtMs = time.nowMs
        one.goneAtMs = time.nowMs + lagMs()
      }, true),
    get: (keys) =>
      travel(() => {
        const seen = (key: string) => {
          const one = stored.get(key)
          return one !== undefined && one.visibleAtMs <= time.nowMs && one.goneAtMs > time.nowMs ? one.value : null
        }
        return new Map(keys.map((key) => [key, seen(key)]))
      }),
    list: ({ prefix, cursor, limit = 1_000 }) =>
      travel(() => {
        const live = [...stored]
          .filter(([key, one]) => {
            if (!key.startsWith(prefix) || (cursor !== undefined && key <= cursor)) return false
            const shown = one.visibleAtMs <= time.nowMs && one.goneAtMs > time.nowMs
            if (!shown && one.deletedAtMs === undefined) coverage['stale lists: missed an entry']++
            if (shown && one.deletedAtMs !== undefined) coverage['stale lists: showed a deleted one']++
            return shown
          })
          .sort(([a], [b]) => (a < b ? -1 : 1))
        const page = live.slice(0, limit).map(([name, { metadata }]) => ({ name, ...(metadata === undefined ? {} : { metadata }) }))
        const last = page.at(-1)
        return live.length > limit && last !== undefined
          ? { list_complete: false as const, keys: page, cursor: last.name }
          : { list_complete: true as const, keys: page }
      }),
  }
}
