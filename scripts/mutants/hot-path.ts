/** What the live path leaves out where it can tell that there is nothing to do. */
import type { Mutant } from './mutant.ts'

const sql = ['test/core/ledger/sql/ledger.test.ts', 'test/core/ledger/sql/window.test.ts']

export const hotPathMutants: readonly Mutant[] = [
  {
    name: 'SQL: an object that is seldom asked never sweeps',
    breaks: 'G7',
    file: 'src/core/ledger/sql/lifetimes.ts',
    find: 'let unswept = requestsPerSweep',
    replace: 'let unswept = 0',
    tests: sql,
  },
  {
    name: 'SQL: rows go more slowly than they come, since only the last request counts',
    breaks: 'G7',
    file: 'src/core/ledger/sql/lifetimes.ts',
    find: 'sweep(unswept, nowMs)',
    replace: 'sweep(1, nowMs)',
    tests: sql,
  },
  {
    name: 'SQL: what left the window is taken for nothing',
    breaks: 'G7',
    file: 'src/core/ledger/sql/window.ts',
    find: 'saved.oldestMs >= toMs) return 0',
    replace: 'saved.oldestMs >= fromMs) return 0',
    tests: sql,
  },
  {
    name: 'Redis: what several requests ask for at once goes with one of them',
    breaks: 'G7',
    file: 'src/core/ledger/redis/ledger.ts',
    find: '    enableAutoPipelining: false,\n',
    replace: '',
    tests: ['test/core/ledger/redis/ledger.test.ts'],
  },
]
