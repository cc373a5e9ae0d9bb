/** How long profiles were behind, as counts by the minute. */

const minuteMs = 60_000
/** Beyond it they count as this. */
const mostMinutes = 60 * 24 * 60

export interface Delays {
  /** One visitor's profile was behind for so long. */
  add(ms: number): void
  readonly count: number
  readonly longestMs: number
  /** The longest since this was last asked for. */
  takeLongest(): number
  /** The delay, in whole minutes as ms, that this share of them did not exceed; 0 without any. */
  quantileMs(share: number): number
  /** How many were longer. */
  longerThan(ms: number): number
}

export function createDelays(): Delays {
  const minutes = new Uint32Array(mostMinutes + 1)
  let [count, longestMs, lately, highest] = [0, 0, 0, 0]
  return {
    add(ms) {
      const minute = Math.min(mostMinutes, Math.ceil(ms / minuteMs))
      minutes[minute] = (minutes[minute] ?? 0) + 1
      if (minute > highest) highest = minute
      if (ms > longestMs) longestMs = ms
      if (ms > lately) lately = ms
      count++
    },
    get count() {
      return count
    },
    get longestMs() {
      return longestMs
    },
    takeLongest() {
      const taken = lately
      lately = 0
      return taken
    },
    quantileMs(share) {
      let passed = 0
      for (let minute = 0; minute <= highest; minute++) {
        passed += minutes[minute] ?? 0
        if (passed >= count * share) return minute * minuteMs
      }
      return highest * minuteMs
    },
    longerThan(ms) {
      let longer = 0
      for (let minute = Math.floor(ms / minuteMs) + 1; minute <= highest; minute++) longer += minutes[minute] ?? 0
      return longer
    },
  }
}
