/** The Worker that `wrangler deploy` deploys. */
import { sources } from './sources.ts'
import { createWorker } from './workers/index.ts'

export { LedgerObject } from './workers/index.ts'
export default createWorker({ sources })
