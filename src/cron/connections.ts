/**
 * The connections of a run. The ledger comes first, then calls, which must start within START; cleaning up takes what
 * they leave.
 *
 * Guarantee: no more are in use than the platform gives an invocation, so that nothing waits where its time-out counts.
 */
import type { Clock } from '../core/clock.ts'
import { type Connections, createConnections } from '../core/connections.ts'
import { startWithinMs } from '../core/ledger/rules/in-flight.ts'
import type { Limits } from '../core/limits.ts'

export interface RunConnections extends Connections<'ledger' | 'store'> {
  /** Makes one call to Target. */
  call(work: () => Promise<void>): Promise<void>
  /** Calls that can all be started in half of START, as long as calls took lately; at least 1. */
  callsInTime(): number
}

/** How much the last call tells of how long one takes. */
const share = 1 / 8

export function createRunConnections(clock: Clock, { connections }: Pick<Limits, 'connections'>): RunConnections {
  const { use } = createConnections(connections, ['ledger', 'call', 'store'])
  const tickMs = () => clock.elapsed?.() ?? clock.now()
  let callMs = 0
  return {
    use,
    call: (work) =>
      use('call', async () => {
        const startedMs = tickMs()
        await work()
        callMs += (tickMs() - startedMs - callMs) * share
      }),
    callsInTime: () => Math.max(1, Math.floor((connections * startWithinMs) / 2 / Math.max(1, callMs))),
  }
}
