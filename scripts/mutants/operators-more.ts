/** Figures that an operator decides by. */
import type { Mutant } from './mutant.ts'

const plans = ['test/core/operator/dead/plans.test.ts']
const status = ['test/relay/status.test.ts']
const makePlan = 'src/core/operator/dead/make-plan.ts'

export const operatorsMoreMutants: readonly Mutant[] = [
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
