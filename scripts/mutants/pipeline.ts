/** Deliberate bugs in what a run does at the same time, and in what it may spend. */
import type { Mutant } from './mutant.ts'

const pipeline = ['test/cron/pipeline.test.ts']

export const pipelineMutants: readonly Mutant[] = [
  {
    name: 'one chunk after another',
    breaks: 'G7',
    file: 'src/cron/page.ts',
    find: 'refusals.calm ? limits.chunksAtOnce : 1',
    replace: '1',
    tests: pipeline,
  },
  {
    name: 'chunks beside each other while something is refused',
    breaks: 'G7',
    file: 'src/cron/page.ts',
    find: 'refusals.calm ? limits.chunksAtOnce : 1',
    replace: 'limits.chunksAtOnce',
    tests: ['test/cron/blame.test.ts'],
  },
  {
    name: 'deletes before calls',
    breaks: 'G7',
    file: 'src/cron/connections.ts',
    find: "['ledger', 'call', 'store']",
    replace: "['ledger', 'store', 'call']",
    tests: pipeline,
  },
  {
    name: 'more connections than the platform has',
    breaks: 'G7',
    file: 'src/core/connections.ts',
    find: 'let free = count',
    replace: 'let free = count + 1',
    tests: pipeline,
  },
  {
    name: 'a chunk begins while calls of the one before wait',
    breaks: 'G7',
    file: 'src/cron/pipeline.ts',
    find: 'await Promise.race([moved, ended])',
    replace: 'void moved',
    tests: pipeline,
  },
  {
    name: 'more is admitted than a slow Target takes within START',
    breaks: 'G7',
    file: 'src/cron/connections.ts',
    find: 'callMs += (tickMs() - startedMs - callMs) * share',
    replace: 'callMs += (startedMs - startedMs - callMs) * share',
    tests: pipeline,
  },
  {
    name: 'several spend the same operations',
    breaks: 'G7',
    file: 'src/cron/budget.ts',
    find: 'spent.held += own.operations',
    replace: '',
    tests: pipeline,
  },
  {
    name: 'several take the same calls',
    breaks: 'G7',
    file: 'src/cron/budget.ts',
    find: '    spent.calls += own.calls',
    replace: '',
    tests: pipeline,
  },
  {
    name: 'a run that ends leaves its other chunks behind',
    breaks: 'G2',
    file: 'src/cron/pipeline.ts',
    find: '      await pipeline.idle()',
    replace: '',
    tests: pipeline,
  },
  {
    name: 'a store that is down is asked for each entry',
    breaks: 'G7',
    file: 'src/cron/budget.ts',
    find: 'if (backlogEnded !== undefined) throw backlogEnded',
    replace: '',
    tests: pipeline,
  },
]
