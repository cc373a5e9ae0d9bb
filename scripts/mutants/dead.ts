/** Dead letters: seen, brought back, dropped. */
import type { Mutant } from './mutant.ts'

const letters = ['test/core/operator/dead/letters.test.ts']
const stores = ['test/core/backlog/backlog.test.ts']
const routes = ['test/edge/routes/dead.test.ts']

export const deadMutants: readonly Mutant[] = [
  {
    name: 'a list of dead letters shows values that nobody asked to see',
    breaks: 'G8',
    file: 'src/core/operator/dead/letters.ts',
    find: 'reveal ? { name, value } : { name, characters: value.length }',
    replace: 'reveal || true ? { name, value } : { name, characters: value.length }',
    tests: letters,
  },
  {
    name: 'values are revealed without a record',
    breaks: 'G9',
    file: 'src/edge/routes/admin/dead.ts',
    find: "if (reveal) await act(c, 'dead_reveal', { key })",
    replace: '',
    tests: routes,
  },
  {
    name: 'a list of dead letters ends where a page fits nothing',
    breaks: 'G9',
    file: 'src/core/operator/dead/letters.ts',
    find: 'return { letters, ...given({ cursor }) }',
    replace: 'return { letters, ...given({ cursor: letters.length === 0 ? undefined : cursor }) }',
    tests: letters,
  },
  {
    name: 'KV lists the dead letters of this version only',
    breaks: 'G9',
    file: 'src/core/backlog/kv.ts',
    find: 'return prefix === deadPrefix ? page : { ...page, cursor: deadPrefix }',
    replace: 'return page',
    tests: letters,
  },
  {
    name: 'a page of KV skips what it had no room to show',
    breaks: 'G9',
    file: 'src/core/backlog/kv-page.ts',
    find: 'itemsAtMost === undefined ? keys : keys.slice(0, shown + itemsAtMost - items.length)',
    replace:
      'itemsAtMost === undefined ? keys : keys.splice(0, keys.length, ...keys.slice(0, shown + itemsAtMost - items.length)) && keys',
    tests: stores,
  },
  {
    name: 'letters that a file held before are in no list',
    breaks: 'G9',
    file: 'src/core/backlog/sqlite-dead.ts',
    find: "SELECT key, octet_length(value) FROM relay_backlog WHERE key > 'd1/' AND key < 'd1/~'",
    replace: "SELECT key, octet_length(value) FROM relay_backlog WHERE key > 'd9/' AND key < 'd1/~'",
    tests: letters,
  },
  {
    name: 'a letter that an older server deletes stays in the list',
    breaks: 'G9',
    file: 'src/core/backlog/sqlite-dead.ts',
    find: 'CREATE TRIGGER relay_dead_gone AFTER DELETE ON',
    replace: 'CREATE TRIGGER relay_dead_gone AFTER UPDATE ON',
    tests: letters,
  },
  {
    name: 'the words of Target stand in clear beside a sealed letter',
    breaks: 'security',
    file: 'src/core/backlog/kv.ts',
    find: 'detail === undefined ? undefined : await seal.seal(detail, key)',
    replace: 'detail === undefined ? undefined : detail',
    tests: letters,
  },
]
