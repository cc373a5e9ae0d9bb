/** Deliberate bugs in skipping what is unchanged. */
import type { Mutant } from './mutant.ts'

const rules = 'src/core/ledger/rules/unchanged.ts'
const register = 'src/core/ledger/rules/register.ts'
const sqlAdmit = 'src/core/ledger/sql/admit.ts'
const redisRules = 'src/core/ledger/redis/scripts/registers.ts'
const redisRows = 'src/core/ledger/redis/scripts/rows.ts'
const door = 'src/core/delivery/door.ts'
const sqlLedger = ['test/core/ledger/sql/ledger.test.ts']
const redisLedger = ['test/core/ledger/redis/ledger.test.ts']
const unit = ['test/core/ledger/rules/unchanged.test.ts']
const stored = ['test/core/ledger/registers.test.ts']
const delivery = ['test/core/delivery/unchanged.test.ts']

export const skipMutants: readonly Mutant[] = [
  {
    name: 'skip: what was delivered before another value counts',
    breaks: 'G2',
    file: rules,
    find: ' || value.stamp !== done || ',
    replace: ' || ',
    tests: unit,
  },
  {
    name: 'skip: another value is unchanged',
    breaks: 'G2',
    file: rules,
    find: ' || value.hash !== hash) return false',
    replace: ' || hash === undefined) return false',
    tests: sqlLedger,
  },
  {
    name: 'skip: with an attempt open',
    breaks: 'G2',
    file: rules,
    find: 'open !== undefined || ',
    replace: '',
    tests: unit,
  },
  {
    name: 'skip: an older value that comes late is sent over it',
    breaks: 'G3',
    file: sqlAdmit,
    find: 'for (const { name, stamp } of skipping) visitor.set(name, skipped(visitor.get(name) ?? {}, stamp))',
    replace: '',
    tests: sqlLedger,
  },
  {
    name: 'skip: the profile is never refreshed',
    breaks: 'G2',
    file: register,
    find: 'const forgottenMs = Math.max(erasedMs, lostMs, nowMs - rules.retentionMs - 1)',
    replace: 'const forgottenMs = Math.max(erasedMs, lostMs)',
    tests: sqlLedger,
  },
  {
    name: 'skip: what was sent before a loss counts',
    breaks: 'G2',
    file: register,
    find: 'Math.max(erasedMs, lostMs, nowMs - rules.retentionMs - 1)',
    replace: 'Math.max(erasedMs, nowMs - rules.retentionMs - 1)',
    tests: unit,
  },
  {
    name: 'skip: it counts from the skip',
    breaks: 'G2',
    file: rules,
    find: '{ value: { ...value, stamp } }',
    replace: '{ value: { ...value, stamp, atMs: Number(stamp.slice(1, 14)) } }',
    tests: sqlLedger,
  },
  {
    name: 'skip: it is not written where nothing else goes',
    breaks: 'G3',
    file: sqlAdmit,
    find: '[...skipping, ...going] : skipping',
    replace: '[...skipping, ...going] : []',
    tests: sqlLedger,
  },
  {
    name: 'Redis: skip: what was delivered before another value counts',
    breaks: 'G2',
    file: redisRules,
    find: ' or value.stamp ~= r.done or ',
    replace: ' or ',
    tests: stored,
  },
  {
    name: 'Redis: skip: the profile is never refreshed',
    breaks: 'G2',
    file: redisRules,
    find: 'math.max(around.erased, around.lost, now - retentionMs - 1)',
    replace: 'math.max(around.erased, around.lost)',
    tests: redisLedger,
  },
  {
    name: 'Redis: skip: an older value that comes late is sent over it',
    breaks: 'G3',
    file: redisRules,
    find: 'return { done = stamp, value = { stamp = stamp, hash',
    replace: 'return { done = r.done, value = { stamp = r.done, hash',
    tests: redisLedger,
  },
  {
    name: 'Redis: skip: what is known stands where an older version looks for life and bucket',
    breaks: 'G2',
    file: redisRows,
    find: "text(r.value.at) }, '=') end",
    replace: "text(r.value.at) }, '|') end",
    tests: stored,
  },
  {
    name: 'skip: the values of a merged call count as those of its first source',
    breaks: 'G2',
    file: door,
    find: 'source = others.length === 0 ? only : undefined }',
    replace: 'source: _, ...one }',
    tests: delivery,
  },
  {
    name: 'skip: the hash says what the value is, whosever it is',
    breaks: 'G8',
    file: 'src/core/update/hash.ts',
    find: "value: async (...parts) => (await hash('value', parts))",
    replace: "value: async (_visitor, _name, value) => (await hash('value', [value]))",
    tests: ['test/core/update/hash.test.ts'],
  },
  {
    name: 'skip: what is unchanged is left in the backlog',
    breaks: 'G7',
    file: 'src/core/delivery/fate.ts',
    find: "    case 'unchanged':\n    case 'erased':\n      return 'done'",
    replace: "    case 'erased':\n      return 'done'\n    case 'unchanged':\n      return 'open'",
    tests: delivery,
  },
]
