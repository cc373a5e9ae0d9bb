/** The Worker that takes the corpus. */
import { createWorker } from '../../src/workers.ts'
import { sources } from './sources.ts'

export { LedgerObject } from '../../src/workers.ts'
export default createWorker({ sources })
