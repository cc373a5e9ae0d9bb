/**
 * What operators did, on record.
 *
 * Guarantee: an act is recorded before it is done, so that none is done without its record: where the ledger cannot
 * keep it, the request is answered 503 and nothing has happened.
 * What goes on over many requests has a record every ten minutes; the log has each of them.
 * Known hole: the record of an act that failed, or whose answer was lost, looks like that of one that was done; what
 * came of an act is recorded behind it, where that could be written.
 */
import { type Context, Hono } from 'hono'
import { errorName } from '../../../core/errors.ts'
import type { ActDetails, PartsOf } from '../parts.ts'
import { ViewOnly, whoOf } from './access.ts'

/** How long the record of an act stands for the same operator's next requests of the same act. */
const goesOnMs = 600_000

/**
 * Records what somebody is about to do, and logs it. To be called before anything is changed or revealed.
 *
 * @param details counts and names; never a visitor's id or a value
 * @param goesOn it is one of many requests that make one act
 * @returns records what came of it, with counts that are known only then; never rejects
 * @throws ViewOnly, and whatever the ledger rejects with
 */
export type RecordAct = (
  c: Context,
  what: string,
  details?: ActDetails,
  options?: { readonly goesOn?: boolean },
) => Promise<(outcome: ActDetails) => Promise<void>>

export function recordingActs(partsOf: PartsOf<'operator' | 'clock' | 'log'>): RecordAct {
  /** When an act was last recorded, epoch ms, by who and what. */
  const recorded = new Map<string, number>()
  return async (c, what, details, { goesOn = false } = {}) => {
    const { operator, clock, log } = partsOf(c)
    const { name: who, role } = whoOf(c)
    if (role === 'view') throw new ViewOnly()
    const record = async (what: string, details: ActDetails = {}) => {
      const at = new Date(clock.now()).toISOString()
      await operator.record({ at, who, role, what, ...(Object.keys(details).length === 0 ? {} : { details }) })
      log?.('audit', { ...details, who, role, what })
    }
    const key = [role, who, what].join(' ')
    const nowMs = clock.now()
    if (goesOn && Math.abs(nowMs - (recorded.get(key) ?? Number.NEGATIVE_INFINITY)) < goesOnMs)
      log?.('audit', { ...details, who, role, what })
    else await record(what, details)
    // An operator whose token is gone leaves an entry: names and acts are few.
    recorded.set(key, nowMs)
    return (outcome) =>
      record(`${what}_done`, outcome).catch((error) => {
        log?.('audit_outcome_not_recorded', { ...outcome, who, role, what, error: errorName(error) })
      })
  }
}

export function auditApi(partsOf: PartsOf<'operator'>): Hono {
  const app = new Hono({ strict: false })
  app.get('/audit', async (c) => c.json({ acts: await partsOf(c).operator.acts() }))
  return app
}
