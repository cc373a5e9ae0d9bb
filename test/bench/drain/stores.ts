/** Delays in front of the stores and of Target, and the six connections of a Worker's invocation that they share. */
import type { Kv, KvKey, KvList } from '../../../src/core/store/kv.ts'

export type Sleep = (ms: number) => Promise<void>

/** As on the platform: what comes while all are in use waits for its turn, and does not fail. */
export class Connections {
  #free: number
  readonly #waiting: (() => void)[] = []
  constructor(count: number) {
    this.#free = count
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}

/** A KV that lists a million keys fast: what was deleted leaves its index at the next list. */
export function indexedKv(): Kv {
  const stored = new Map<string, { readonly value: string; readonly metadata?: unknown }>()
  let index: string[] = []
  let added = 0
  let removed = 0
  const refresh = () => {
    if (added === 0 && removed < 5_000) return
    index = added > 0 ? [...stored.keys()].sort() : index.filter((key) => stored.has(key))
    added = 0
    removed = 0
  }
  return {
    async put(key, value, options) {
      if (!stored.has(key)) added++
      stored.set(key, { value, metadata: options?.metadata })
    },
    async get(keys) {
      return new Map(keys.map((key) => [key, stored.get(key)?.value ?? null]))
    },
    async delete(key) {
      if (stored.delete(key)) removed++
    },
    async list({ prefix, cursor = '', limit = 1_000 }): Promise<KvList> {
      refresh()
      const keys: KvKey[] = []
      for (let at = firstAfter(index, cursor > prefix ? cursor : prefix); at < index.length; at++) {
        const name = index[at] ?? ''
        if (!name.startsWith(prefix)) break
        const found = stored.get(name)
        if (found === undefined || name === cursor) continue
        if (keys.length === limit) return { list_complete: false, keys, cursor: keys.at(-1)?.name ?? '' }
        keys.push({ name, metadata: found.metadata })
      }
      return { list_complete: true, keys }
    },
  }
}

/** The first place of a sorted list whose text is no less than `text`. */
function firstAfter(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < text) low = middle + 1
    else high = middle
  }
  return low
}

/** Each method of `store` as `takes` does it. */
export function slow<T extends object>(store: T, takes: (work: () => unknown) => Promise<unknown>): T {
  return new Proxy(store, {
    get: (target, property) => {
      const method: unknown = Reflect.get(target, property)
      return typeof method === 'function' ? (...asked: unknown[]) => takes(() => method.apply(target, asked)) : method
    },
  })
}
