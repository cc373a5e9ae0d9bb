/** A bounded number of things that go on beside each other, as an invocation of a Worker has six connections. */

export interface Connections<Purpose> {
  /** Does `work` once a connection is free: those of an earlier purpose first, of one purpose in the order asked. */
  use<T>(purpose: Purpose, work: () => Promise<T>): Promise<T>
}

/** @param purposes what a free connection is given to, the most urgent first */
export function createConnections<const Purpose extends string>(
  count: number,
  purposes: readonly Purpose[],
): Connections<Purpose> {
  const waiting = new Map<Purpose, (() => void)[]>(purposes.map((purpose) => [purpose, []]))
  let free = count

  return {
    async use(purpose, work) {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.get(purpose)?.push(resolve))
      try {
        return await work()
      } finally {
        const next = purposes.map((one) => waiting.get(one)).find((queue) => queue !== undefined && queue.length > 0)
        // It is passed on, so that nobody who comes just now is quicker.
        if (next === undefined) free++
        else next.shift()?.()
      }
    },
  }
}
