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
    find: 'await Promise.all([usage(run), series(run, fromMs), recall(run, names)])',
    replace: 'await Promise.all([usage(call), series(call, fromMs), recall(run, names)])',
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
