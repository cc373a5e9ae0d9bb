/** Deliberate bugs in sealing anew, and in what the commands of operators say. */
import type { Mutant } from './mutant.ts'

const resealing = ['test/core/backlog/reseal.test.ts']
const codes = ['test/cli/exit-codes.test.ts']
const pages = ['test/cli/status-page.test.ts']

export const sealMutants: readonly Mutant[] = [
  {
    name: 'a letter that went while it was sealed anew comes back',
    breaks: 'G9',
    file: 'src/core/backlog/sqlite-rows.ts',
    find: "'UPDATE relay_backlog SET value = ? WHERE key = ? AND value = ?', value, key, was.value",
    replace: "'INSERT OR REPLACE INTO relay_backlog (value, key) SELECT ?, ? WHERE ? > 0', value, key, '1'",
    tests: resealing,
  },
  {
    name: 'a detail beside a letter stays under the old key',
    breaks: 'G9',
    file: 'src/core/backlog/sqlite-rows.ts',
    find: 'if (was.detail !== null)',
    replace: 'if (was.detail === key)',
    tests: resealing,
  },
  {
    name: 'what no key opens is sealed as it is',
    breaks: 'G2',
    file: 'src/core/backlog/seal.ts',
    find: "if (typeof content !== 'object' || content === null) isWhole = false",
    replace: '',
    tests: resealing,
  },
  {
    name: 'what is only counted is sealed anew',
    breaks: 'G9',
    file: 'src/core/backlog/reseal.ts',
    find: 'if (anew === undefined || !wanted) return counting.count(by)',
    replace: 'if (anew === undefined) return counting.count(by)',
    tests: resealing,
  },
  {
    name: 'one value that KV does not give ends the counting',
    breaks: 'G9',
    file: 'src/core/backlog/reseal.ts',
    find: 'if ([...given.values()].every((value) => value === undefined)) throw error',
    replace: 'throw error',
    tests: resealing,
  },
  {
    name: 'a run that failed for some letters is a success',
    breaks: 'G9',
    file: 'src/cli/dead-plan.ts',
    find: 'answer.said.failed > 0 || ',
    replace: '',
    tests: codes,
  },
  {
    name: 'the page does not say when the quota is used up',
    breaks: 'G9',
    file: 'src/cli/status-page.ts',
    find: 'else if (firstDeferralAt !== undefined)',
    replace: 'else if (firstDeferralAt === nextFreeAt)',
    tests: pages,
  },
]
