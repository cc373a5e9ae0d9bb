/** A visitor's time line, and what an operator is shown of a visitor. */
import type { Mutant } from './mutant.ts'

const sql = ['test/core/ledger/sql/ledger.test.ts']
const redis = ['test/core/ledger/redis/ledger.test.ts']
const find = ['test/core/operator/find-visitor.test.ts']
const rules = 'src/core/ledger/rules/history.ts'
const lua = 'src/core/ledger/redis/scripts/history.ts'

export const historyMutants: readonly Mutant[] = [
  {
    name: 'in SQL a settle after an erasure writes down what came in before it',
    breaks: 'G8',
    file: 'src/core/ledger/sql/settle.ts',
    find: 'if (note !== undefined && stampArrivalMs(note.stamp) > (visitor.erasedMs ?? 0))',
    replace: 'if (note !== undefined)',
    tests: sql,
  },
  {
    name: 'in Redis a settle after an erasure writes down what came in before it',
    breaks: 'G8',
    file: lua,
    find: 'if received <= (readErased(visitor) or 0) then return end',
    replace: '',
    tests: redis,
  },
  {
    name: 'a repeated settle is two happenings',
    breaks: 'G9',
    file: rules,
    find: 'if (text !== undefined && before.some((one) => isAlike(one, happening))) return text',
    replace: '',
    tests: sql,
  },
  {
    name: 'in Redis a repeated settle is two happenings',
    breaks: 'G9',
    file: lua,
    find: 'if isAlike(one, added) then return kept end',
    replace: '',
    tests: redis,
  },
  {
    name: 'a time line grows with long names',
    breaks: 'G9',
    file: rules,
    find: 'place < all.length && historyText(all).length > historyBytes',
    replace: 'place < 0 * historyBytes',
    tests: sql,
  },
  {
    name: 'in Redis a time line grows with long names',
    breaks: 'G9',
    file: lua,
    find: 'if #historyText(all) <= input.historyBytes then break end',
    replace: 'if true then break end',
    tests: redis,
  },
  {
    name: 'in Redis a time line doubles what a visitor takes',
    breaks: 'G9',
    file: lua,
    find: "'h', string.sub(after, 1, 64), 'i', string.sub(after, 65)",
    replace: "'h', after, 'i', ''",
    tests: ['test/core/ledger/history-bytes.test.ts'],
  },
  {
    name: 'a visitor whose only update was rejected has no dead letter to show',
    breaks: 'G9',
    file: 'src/core/operator/visitor/find-visitor.ts',
    find: 'dead: letters.filter((letter) => letter.visitor === visitorHash)',
    replace: 'dead: []',
    tests: find,
  },
  {
    name: 'why an update was deferred is not noted',
    breaks: 'G9',
    file: 'src/core/delivery/settle.ts',
    find: 'if (eventDone === undefined && note === undefined) return undefined',
    replace: 'if (eventDone === undefined) return undefined',
    tests: find,
  },
  {
    name: 'what the flush set aside is not noted',
    breaks: 'G9',
    file: 'src/cron/figures.ts',
    find: 'for (let start = 0; start < all.length || (start === 0 && untold.any()); start += maxBatch)',
    replace: 'for (let start = all.length; start === all.length && untold.any(); start += maxBatch)',
    tests: find,
  },
  {
    name: 'verify denies a visitor that has only a dead letter',
    breaks: 'G9',
    file: 'src/cli/verify.ts',
    find: '(found.entries ?? 0) + dead.length + history.length === 0',
    replace: '(found.entries ?? 0) === 0',
    tests: ['test/cli/operators.test.ts'],
  },
]
