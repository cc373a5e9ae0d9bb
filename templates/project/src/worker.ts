/** The relay on Cloudflare Workers. */
import { createWorker, flushStarter } from 'target-relay/workers'
import { sources } from './sources.ts'

export { BacklogObject, FlushObject, LedgerObject } from 'target-relay/workers'
export default createWorker({ sources })
export const FlushStarter = flushStarter({ sources })
