/**
 * Objects that each hold one of several runs of the flush. They store nothing.
 *
 * A call of one Worker's invocation by another shares the six connections and the CPU of the first. An object's request is
 * one of its own, so what it calls has connections of its own.
 */
import { DurableObject } from 'cloudflare:workers'
import type { StartRun } from '../cron/beside.ts'
import type { FlushReport } from '../cron/report.ts'
import type { Segment } from '../cron/segments.ts'

/** What a Worker exports to run the flush (`flushStarter` in `index.ts`). */
export interface Starters {
  readonly FlushStarter?: { flush(): Promise<void>; flushPart(segment: Segment): Promise<FlushReport> }
}

export class FlushObject extends DurableObject<object> {
  /** Rejects where the run died. */
  async flushPart(segment: Segment): Promise<FlushReport> {
    const { FlushStarter } = this.ctx.exports as Starters
    if (FlushStarter === undefined) throw new Error('the Worker exports no FlushStarter')
    return FlushStarter.flushPart(segment)
  }
}

/** One object for each segment. Undefined where the Worker has no binding for them, or exports nothing that runs. */
export function startRunIn(
  objects: DurableObjectNamespace<FlushObject> | undefined,
  exports: object | undefined,
): StartRun | undefined {
  if (objects === undefined || (exports as Starters | undefined)?.FlushStarter === undefined) return undefined
  return ({ index, of }) => {
    const object = objects.get(objects.idFromName(`flush-${index}`)) as unknown as Pick<FlushObject, 'flushPart'>
    return object.flushPart({ index, of })
  }
}
