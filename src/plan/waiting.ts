/**
 * Which visitors wait, in the order of the ring, and who of them has waited longest: what a run of the flush reads
 * (docs/rules.md, "Flush").
 */

const bits = 32
/** Longer than the stretch that a run reads: a visitor's place in it stands in the lower digits of its key. */
const places = 16_384

export interface Waiting {
  add(visitor: number): void
  remove(visitor: number): void
  readonly count: number
  /**
   * Reads visitors from `from` on around the ring until `enough` says so.
   *
   * @param into takes the visitors; at most as many as it has room for
   * @returns how many were read, and where the next stretch begins; `whole` if that was everybody
   */
  stretch(
    from: number,
    into: Int32Array,
    enough: (visitor: number) => boolean,
  ): { readonly read: number; readonly next: number; readonly whole: boolean }
}

export function createWaiting(): Waiting {
  let words = new Uint32Array(1_024)
  let count = 0
  /** The word behind the last visitor that was ever added. */
  let wordsUsed = 0
  return {
    add(visitor) {
      const word = visitor >>> 5
      if (word >= words.length) words = grown(words, word)
      if (word >= wordsUsed) wordsUsed = word + 1
      words[word] = (words[word] ?? 0) | (1 << (visitor & (bits - 1)))
      count++
    },
    remove(visitor) {
      const word = visitor >>> 5
      words[word] = (words[word] ?? 0) & ~(1 << (visitor & (bits - 1)))
      count--
    },
    get count() {
      return count
    },
    stretch(from, into, enough) {
      let read = 0
      const end = wordsUsed * bits
      if (count === 0) return { read, next: from, whole: true }
      const first = from < end ? from : 0
      let at = first
      let turned = false
      for (;;) {
        const visitor = nextSet(words, at, turned ? first : end)
        if (visitor === -1) {
          if (turned) return { read, next: first, whole: true }
          turned = true
          at = 0
          if (first === 0) return { read, next: 0, whole: true }
          continue
        }
        into[read++] = visitor
        at = visitor + 1
        if (read === count) return { read, next: at, whole: true }
        if (read === into.length || enough(visitor)) return { read, next: at, whole: false }
      }
    },
  }
}

/** The first visitor from `from` on, before `end`, that waits; -1 without any. */
function nextSet(words: Uint32Array, from: number, end: number): number {
  let word = from >>> 5
  const last = (end + bits - 1) >>> 5
  let left = word < last ? (words[word] ?? 0) & (-1 << (from & (bits - 1))) : 0
  while (left === 0) {
    if (++word >= last) return -1
    left = words[word] ?? 0
  }
  const visitor = word * bits + (bits - 1 - Math.clz32(left & -left))
  return visitor < end ? visitor : -1
}

function grown(words: Uint32Array, word: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(word + 1, words.length * 2))
  larger.set(words)
  return larger
}

/** What a visitor of a stretch is ordered by: since when it waits, then its place. Both stand in one exact number. */
export function orderKey(sinceMs: number, place: number): number {
  return Math.round(sinceMs) * places + place
}

export function placeOf(key: number): number {
  return key % places
}

/** Puts the `wanted` least of `keys` first, in their order. */
export function leastFirst(keys: Float64Array, wanted: number): void {
  if (wanted < keys.length) select(keys, wanted)
  keys.subarray(0, wanted).sort()
}

/** Hoare's quickselect: afterwards none of the first `wanted` is greater than any other. */
function select(keys: Float64Array, wanted: number): void {
  let [low, high] = [0, keys.length - 1]
  while (low < high) {
    const pivot = keys[(low + high) >> 1] ?? 0
    let [left, right] = [low, high]
    while (left <= right) {
      while ((keys[left] ?? 0) < pivot) left++
      while ((keys[right] ?? 0) > pivot) right--
      if (left <= right) {
        const held = keys[left] ?? 0
        keys[left++] = keys[right] ?? 0
        keys[right--] = held
      }
    }
    if (wanted - 1 <= right) high = right
    else if (wanted - 1 >= left) low = left
    else return
  }
}
