/** Operators who plan what is done to dead letters, run it, and sometimes cancel it, while everything around them fails. */
import type { Random } from '../../src/core/clock.ts'
import type { DeadFilter } from '../../src/core/operator/dead/letters.ts'
import type { Plan, PlanAction } from '../../src/core/operator/dead/plan.ts'
import type { Coverage } from './coverage.ts'
import { magnitude, pick } from './draws.ts'
import type { Isolate } from './isolate.ts'
import type { Oracle } from './oracle.ts'
import type { VirtualTime } from './time.ts'

export interface PlansParts {
  readonly random: Random
  readonly time: VirtualTime
  readonly oracle: Oracle
  readonly coverage: Coverage
  /** The values that the backlog keeps under keys with a prefix. */
  readonly peek: (prefix: string) => readonly string[]
  readonly isolate: () => Promise<Isolate>
  /** A stamp of the present is ahead for a ledger whose clock is behind. */
  readonly clocksAreRight: boolean
  readonly trace: (line: string) => void
}

/** Operators ask again where they got no answer. */
const triesAtMost = 40

/** Plans, and begins to run. @returns the id of what runs; undefined where it came to nothing */
export async function planAndRun(parts: PlansParts): Promise<string | undefined> {
  const { random, time, oracle, coverage, peek, trace } = parts
  const action: PlanAction = pick(random, ['replay', 'replay', 'replay', 'remap', 'drop'])
  const asNew = action === 'replay' && parts.clocksAreRight && random.fraction() < 0.3
  const filter: DeadFilter = pick(random, [{}, {}, { reason: 'rejected' }, { source: 'api' }, { beforeMs: time.nowMs }])
  const desk = async () => (await parts.isolate()).dead
  const planned = await (await desk()).plan({ action, asNew, filter }).catch(() => undefined)
  if (planned === undefined) return undefined
  const plan = await until(
    async () => (await desk()).find(planned.id),
    ({ state }) => state !== 'planning',
  )
  if (plan?.state !== 'planned') return undefined
  const keys = peek(`x1/${plan.id}/`).flatMap((text) => text.split('\n'))
  if (keys.length !== plan.letters) oracle.fail(`G9: a plan of ${plan.letters} letters has ${keys.length}`)
  await time.sleep(magnitude(random, 1_000, 600_000))
  trace(`an operator runs ${JSON.stringify(plan)} of ${keys.join(' ')}`)
  coverage['plans run']++
  oracle.planRuns({ action, asNew, keys })
  const running = await until(
    async () => (await desk()).run(plan.id),
    ({ state }) => state !== 'planned',
  )
  if (running === undefined) return undefined
  if (random.fraction() < 0.25) {
    await time.sleep(magnitude(random, 10, 120_000))
    const cancelled = await until(
      async () => (await desk()).cancel(plan.id),
      () => true,
    )
    if (cancelled?.state === 'cancelled') coverage['plans cancelled']++
  }
  return plan.id

  async function until(ask: () => Promise<Plan | undefined>, isSo: (plan: Plan) => boolean): Promise<Plan | undefined> {
    for (let tries = 0; tries < triesAtMost; tries++) {
      const answer = await ask().catch(() => undefined)
      if (answer !== undefined && isSo(answer)) return answer
      await time.sleep(magnitude(random, 1_000, 60_000))
    }
    return undefined
  }
}
