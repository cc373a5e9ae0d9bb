/**
 * Workers KV as in production: up to a minute behind, slow, throttled or down; a failed put may still be kept. It refuses
 * what KV refuses: metadata over 1,024 bytes, values and bulk reads over their limits, more than 100 keys a read.
 */

import type { Random } from '../../src/core/clock.ts'
import type { Kv } from '../../src/core/store/kv.ts'
import type { Coverage } from './coverage.ts'
import { type Outages, type Weather, within } from './faults.ts'
import type { Oracle } from './oracle.ts'
import { interrupted } from './reach.ts'
import type { VirtualTime } from './time.ts'

interface Stored {
  readonly value: string
  readonly metadata?: unknown
  /** When it becomes visible elsewhere. */
  readonly visibleAtMs: number
  deletedAtMs?: number
  /** When it ceases to be visible. */
  goneAtMs: number
}

export interface KvParts {
  readonly time: VirtualTime
  readonly random: Random
  readonly oracle: Oracle
  readonly weather: () => Weather
  readonly outages: () => Outages
  readonly coverage: Coverage
  /** The values in a stored item, for the oracle. */
  readonly valuesIn: (key: string, value: string, metadata: unknown) => Promise<readonly string[]>
  /** The most bytes that one read of several keys may answer. */
  readonly bytesPerRead: number
  /** Whether a key that is put now will be sick; asked for each key with a value. */
  readonly sickens: (key: string) => 'fails' | 'slow' | undefined
  readonly trace: (line: string) => void
}

export interface SimulatedKv extends Kv {
  /** The keys that are really there, whatever a list shows. */
  keys(prefix: string): readonly string[]
  /** Stores something that the relay never wrote. */
  plant(key: string, value: string, metadata?: unknown): void
  /** The values that are kept under keys with this prefix, as they really are. */
  peek(prefix: string): readonly string[]
}

const maxMetadataBytes = 1_024
const maxValueBytes = 25 * 1_048_576
const maxKeysPerRead = 100
/** How long a read of a slow sick key takes. */
const slowMs = 20_000

export function simulatedKv(parts: KvParts): SimulatedKv {
  const { time, random, oracle, coverage } = parts
  const stored = new Map<string, Stored>()
  const sick = new Map<string, 'fails' | 'slow'>()
  const lagMs = () => random.fraction() * parts.weather().kvStaleMs

  /** A slow network, and sometimes none; `effect` may still have happened. */
  async function travel<T>(effect: () => T, mayBeKept = false): Promise<T> {
    await time.sleep(
      2 + random.fraction() * 15 + (random.fraction() < parts.weather().kvSlow ? random.fraction() * 3_000 : 0),
    )
    if (within(parts.outages().kv, time.nowMs)) {
      coverage['KV outages']++
      interrupted('KV outage')
      throw new Error('KV: 503')
    }
    if (random.fraction() < parts.weather().kvFail) {
      interrupted('KV failed')
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
    keys: (prefix) =>
      [...stored].flatMap(([key, { deletedAtMs }]) =>
        key.startsWith(prefix) && deletedAtMs === undefined ? [key] : [],
      ),
    peek: (prefix) =>
      [...stored].flatMap(([key, one]) => (key.startsWith(prefix) && one.deletedAtMs === undefined ? [one.value] : [])),
    plant: (key, value, metadata) => {
      stored.set(key, {
        value,
        ...(metadata === undefined ? {} : { metadata }),
        visibleAtMs: time.nowMs,
        goneAtMs: Number.POSITIVE_INFINITY,
      })
    },
    put: async (key, value, options) => {
      oracle.checkDiscreet('a KV key', key)
      const metadata = options?.metadata
      const bytes = Buffer.byteLength(JSON.stringify(metadata) ?? '')
      if (bytes > maxMetadataBytes)
        throw new Error(`KV PUT failed: 413 Metadata length of ${bytes} exceeds limit of ${maxMetadataBytes}.`)
      if (Buffer.byteLength(value) > maxValueBytes) throw new Error('KV PUT failed: 413 Value length exceeds limit.')
      const values = await parts.valuesIn(key, value, metadata)
      if (value !== '' && key.startsWith('b1/')) {
        const illness = parts.sickens(key)
        if (illness !== undefined) {
          parts.trace(`KV: ${key} is sick: ${illness}`)
          sick.set(key, illness)
          oracle.excuse(key)
        }
      }
      return travel(() => {
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
    get: async (keys) => {
      if (keys.length > maxKeysPerRead)
        throw new Error(`KV GET_BULK failed: 400 You can request a maximum of ${maxKeysPerRead} keys`)
      const ill = keys.map((key) => sick.get(key))
      if (ill.includes('slow')) await time.sleep(slowMs)
      if (ill.includes('fails')) {
        coverage['reads of a sick key']++
        await time.sleep(50)
        throw new Error('KV GET_BULK failed: 500 Internal Server Error')
      }
      const answer = await travel(() => {
        const seen = (key: string) => {
          const one = stored.get(key)
          return one !== undefined && one.visibleAtMs <= time.nowMs && one.goneAtMs > time.nowMs ? one.value : null
        }
        return new Map(keys.map((key) => [key, seen(key)]))
      })
      const size =
        keys.length === 1 ? 0 : [...answer.values()].reduce((sum, value) => sum + Buffer.byteLength(value ?? ''), 0)
      if (size > parts.bytesPerRead) {
        throw new Error('KV GET_BULK failed: 413 Total size of request exceeds the limit of 25MB')
      }
      return answer
    },
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
        const page = live
          .slice(0, limit)
          .map(([name, { metadata }]) => ({ name, ...(metadata === undefined ? {} : { metadata }) }))
        const last = page.at(-1)
        if (live.length > limit) coverage['lists of several pages']++
        return live.length > limit && last !== undefined
          ? { list_complete: false as const, keys: page, cursor: last.name }
          : { list_complete: true as const, keys: page }
      }),
  }
}
