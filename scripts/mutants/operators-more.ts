/** Figures that an operator decides by. */
import type { Mutant } from './mutant.ts'

const plans = ['test/core/operator/dead/plans.test.ts']
const status = ['test/relay/status.test.ts']
const makePlan = 'src/core/operator/dead/make-plan.ts'

export const operatorsMoreMutants: readonly Mutant[] = [
  {
    name: 'what operators are shown is asked of Redis piece by piece',
    breaks: 'G9',
    file: 'src/core/ledger/redis/ledger.ts',
    find: 'await Promise.all([usage(run), series(run, fromMs), kept])',
    replace: 'await Promise.all([usage(call), series(call, fromMs), kept])',
    tests: ['test/core/ledger/redis/ledger.test.ts'],
  },
  {
    name: 'what operators are shown has the figures of all times (SQL)',
    breaks: 'G9',
    file: 'src/core/ledger/sql/ledger.ts',
    find: 'slots: readSeries(sql, fromMs, step.nowMs)',
    replace: 'slots: readSeries(sql, 0, step.nowMs)',
    tests: ['test/core/ledger/sql/ledger.test.ts'],
  },
  {
    name: 'each run asks the ledger for when dead letters were last walked',
    breaks: 'G9',
    file: 'src/core/operator/dead/retention.ts',
    find: 'if (isRecent(memory.deadWalkedMs)) return',
    replace: '',
    tests: ['test/relay/costs.test.ts'],
  },
  {
    name: 'a plan whose filter fits nothing in a run begins again in the next one',
    breaks: 'G9',
    file: makePlan,
    find: 'what this one has seen.\n    await keepPage(plan, held)',
    replace: 'what this one has seen.\n    if (held.length > 0) await keepPage(plan, held)',
    tests: plans,
  },
  {
    name: 'what is superseded is told by the newest letters alone',
    breaks: 'G9',
    file: makePlan,
    find: 'sample.length < sampleSize ? sample.length : Math.floor(random.fraction() * updates)',
    replace: 'sample.length',
    tests: plans,
  },
  {
    name: 'the pace of live traffic has half of the units that replay took by GET',
    breaks: 'G9',
    file: 'src/relay/foretell.ts',
    find: "const unitsACall = targetMethod === 'get' ? mostUnits.get : 1",
    replace: 'const unitsACall = 1',
    tests: ['test/relay/foretell.test.ts'],
  },
  {
    name: 'handshakes look like updates in the metrics',
    breaks: 'G9',
    file: 'src/relay/metrics-updates.ts',
    find: 'if (handshake !== undefined) return',
    replace: 'if (handshake === what) return',
    tests: ['test/relay/metrics.test.ts'],
  },
  {
    name: 'a list without a filter reads more letters than it shows',
    breaks: 'G9',
    file: 'src/core/operator/dead/letters.ts',
    find: '...(isFiltered ? {} : { limit: left }),',
    replace: '',
    tests: ['test/operators/bounded.test.ts'],
  },
  {
    name: 'a cursor that no list gave is taken for the end of a list',
    breaks: 'G9',
    file: 'src/core/backlog/letters.ts',
    find: 'if (cursor !== behindAll && readDeadKey(cursor) === undefined) throw new UnknownCursor()',
    replace: '',
    tests: ['test/edge/routes/dead.test.ts'],
  },
  {
    name: 'a plan that has ended looks as if it were run',
    breaks: 'G9',
    file: 'src/edge/routes/admin/dead.ts',
    find: "if (plan?.state === 'planned')\n        return problem",
    replace: "if (plan?.state === 'planning')\n        return problem",
    tests: ['test/edge/routes/dead.test.ts'],
  },
  {
    name: 'what a plan puts back waits, it seems, for what it waited for once',
    breaks: 'G9',
    file: 'src/core/operator/dead/run-plan.ts',
    find: "[{ ...again, reason: 'plan' }]",
    replace: '[again]',
    tests: plans,
  },
  {
    name: 'a plan is foretold to be through as soon as what waits already',
    breaks: 'G9',
    file: 'src/relay/foretell.ts',
    find: 'units: figures.units + calls * mostUnits[settings.targetMethod],',
    replace: 'units: figures.units,',
    tests: status,
  },
  {
    name: 'a plan is foretold to be through before its letters are moved',
    breaks: 'G9',
    file: 'src/relay/status.ts',
    find: 'Math.max(doneMs, nowMs + movedInMs(settings, more.letters, backlog.tally !== undefined))',
    replace: 'doneMs',
    tests: status,
  },
]
