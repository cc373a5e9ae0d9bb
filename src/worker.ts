/** The Worker that `wrangler deploy` deploys. */
import { sources } from './sources.ts'
import { createWorker } from './workers.ts'

export { LedgerObject } from './workers.ts'
export default createWorker({ sources })
