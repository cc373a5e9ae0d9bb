/** The Worker that `wrangler deploy` deploys. */
import { sources } from './sources.ts'
import { createWorker, flushStarter } from './workers/index.ts'

export { BacklogObject, FlushObject, LedgerObject } from './workers/index.ts'
export default createWorker({ sources })
export const FlushStarter = flushStarter({ sources })
