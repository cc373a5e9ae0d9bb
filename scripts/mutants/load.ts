/** Deliberate bugs in what holds where more comes than the relay can handle. */
import type { Mutant } from './mutant.ts'

const underWay = 'src/edge/http/under-way.ts'
const tests = ['test/edge/http/under-way.test.ts']

/** What an idle run asks of the ledger in one step. */
const stepMutants: readonly Mutant[] = [
  {
    name: 'SQL: memos are recalled for a run that has not got the lease',
    breaks: 'G7',
    file: 'src/core/ledger/sql/ledger.ts',
    find: 'memos.lease(name, holder, ttlMs, nowMs) ? names.map(memos.recall) : undefined',
    replace: 'memos.lease(name, holder, ttlMs, nowMs) || true ? names.map(memos.recall) : undefined',
    tests: ['test/core/ledger/sql/ledger.test.ts'],
  },
  {
    name: 'SQL: the end of a run is kept and its lease is not given back',
    breaks: 'G7',
    file: 'src/core/ledger/sql/ledger.ts',
    find: 'memos.remember(memo, value)\n        memos.release(name, holder)',
    replace: 'memos.remember(memo, value)',
    tests: ['test/core/ledger/sql/ledger.test.ts'],
  },
  {
    name: 'Redis: the end of a run is kept only while it has the lease',
    breaks: 'G9',
    file: 'src/core/ledger/redis/scripts/memos.ts',
    find: "if KEYS[2] then redis.call('SET', KEYS[2], input.value) end",
    replace:
      "if KEYS[2] and string.find(redis.call('GET', KEYS[1]) or '', input.holder, 1, true) then redis.call('SET', KEYS[2], input.value) end",
    tests: ['test/core/ledger/redis/ledger.test.ts'],
  },
]

export const loadMutants: readonly Mutant[] = [
  ...stepMutants,
  {
    name: 'one request too many is handled at once',
    breaks: 'G7',
    file: underWay,
    find: 'if (began.size >= most)',
    replace: 'if (began.size > most)',
    tests,
  },
  {
    name: 'a request keeps its place after its answer',
    breaks: 'G7',
    file: underWay,
    find: '    } finally {\n      place.leave()\n    }',
    replace: '    } finally {\n    }',
    tests,
  },
  {
    name: 'a request that its platform ended keeps its place for ever',
    breaks: 'G7',
    file: underWay,
    find: 'if (nowMs - one.atMs <= placeLastsMs) break',
    replace: 'if (nowMs > 0) break',
    tests,
  },
  {
    name: 'a sender that is slow with its body keeps a place',
    breaks: 'G7',
    file: underWay,
    find: '  place?.leave()\n',
    replace: '',
    tests,
  },
  {
    name: 'whose body has come is handled, however many are',
    breaks: 'G7',
    file: underWay,
    find: 'place === undefined || place.take() ? body',
    replace: 'place !== undefined || place === undefined ? body',
    tests,
  },
  {
    name: 'the drop-in handles any number of requests at once',
    breaks: 'G7',
    file: 'src/edge/app.ts',
    find: "app.use('/m2/*', boundUnderWay(partsOf, refuseDropIn))",
    replace: '',
    tests,
  },
  {
    name: 'what is over the bound is not told when to come back',
    breaks: 'G2',
    file: 'src/edge/app.ts',
    find: "return problem(c, 'unavailable', { detail: 'More requests",
    replace: "return problem(c, 'misconfigured', { detail: 'More requests",
    tests,
  },
  {
    name: 'each request of an isolate has a bound of its own',
    breaks: 'G7',
    file: 'src/relay/compose.ts',
    find: 'underWay: { ...memory.underWay, most',
    replace: 'underWay: { ...newUnderWay(), most',
    tests: ['test/worker/handlers.test.ts'],
  },
]
