/** The Worker under test: the relay's, with the sources of this suite. */
import { createWorker } from '../../src/workers/index.ts'
import { sources } from './sources.ts'

export { BacklogObject, LedgerObject } from '../../src/workers/index.ts'
export default createWorker({ sources })
