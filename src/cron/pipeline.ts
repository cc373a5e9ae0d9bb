/**
 * Chunks of a run beside each other: the next is admitted while one has its calls and one is cleaned up.
 *
 * Guarantee: what was begun comes to its end, also where one of the others must end the run; behind that nothing new is
 * begun. A chunk begins only once all calls of the one before have a connection, so that what was admitted starts within
 * START.
 */
import { Stop, stopOf } from './budget.ts'

export interface Pipeline<T> {
  /**
   * Begins `work`, and waits until the next may begin: this one has moved on, and there is room. Throws the `Stop` that
   * ended one of them.
   *
   * @param work told how to say that it has moved on
   */
  begin(work: (movedOn: () => void) => Promise<T>): Promise<void>
  /** Waits until nothing is under way. Throws nothing. */
  idle(): Promise<void>
  /** What each came to, in the order in which they ended; and the first `Stop`. Throws any other error. */
  end(): Promise<{ readonly results: readonly T[]; readonly stop: Stop | undefined }>
}

/** @param atOnce how many may be under way beside each other just now, at least 1 */
export function createPipeline<T>(atOnce: () => number): Pipeline<T> {
  const underWay = new Set<Promise<void>>()
  const results: T[] = []
  let stop: Stop | undefined
  const errors: unknown[] = []

  const pipeline: Pipeline<T> = {
    async begin(work) {
      let movedOn = () => {}
      const moved = new Promise<void>((resolve) => {
        movedOn = resolve
      })
      const ended: Promise<void> = stopOf(async () => {
        results.push(await work(movedOn))
      })
        .then(
          (own) => {
            stop ??= own
          },
          (error) => {
            errors.push(error)
          },
        )
        .finally(() => underWay.delete(ended))
      underWay.add(ended)
      await Promise.race([moved, ended])
      while (underWay.size >= atOnce()) await Promise.race(underWay)
      if (stop !== undefined) throw stop
    },
    async idle() {
      while (underWay.size > 0) await Promise.race(underWay)
    },
    async end() {
      await pipeline.idle()
      if (errors.length > 0) throw errors[0]
      return { results, stop }
    },
  }
  return pipeline
}

/** Works beside each other, which are waited for together. */
export interface SideBySide {
  begin(work: Promise<void>): void
  /** Waits for all of them, whatever they come to. Then throws the first error that is no `Stop`, else the first `Stop`. */
  end(): Promise<void>
}

export function sideBySide(): SideBySide {
  const ended: Promise<unknown>[] = []
  return {
    begin(work) {
      ended.push(work.catch((error: unknown) => error))
    },
    async end() {
      const errors = (await Promise.all(ended)).filter((error) => error !== undefined)
      const first = errors.find((error) => !(error instanceof Stop)) ?? errors[0]
      if (first !== undefined) throw first
    },
  }
}
