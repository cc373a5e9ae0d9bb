/** Deliberate bugs in what the relay says about itself: log, traces, metrics. */
import type { Mutant } from './mutant.ts'

const noted = ['test/core/backlog/noted.test.ts']
const requests = ['test/edge/http/request-line.test.ts']
const trace = ['test/edge/http/trace.test.ts']
const docs = ['test/docs.test.ts']

export const observabilityMutants: readonly Mutant[] = [
  {
    name: 'a dead letter has no line in the log',
    breaks: 'G9',
    file: 'src/core/backlog/noted.ts',
    find: 'log(lineOf(dead), { source: dead.source, reason: dead.reason, key })',
    replace: '',
    tests: noted,
  },
  {
    name: 'the line of a dead letter has what Target said',
    breaks: 'G8',
    file: 'src/core/backlog/noted.ts',
    find: 'reason: dead.reason, key })',
    replace: "reason: dead.reason, key, detail: dead.detail ?? '' })",
    tests: noted,
  },
  {
    name: 'a dead letter is logged before it is kept',
    breaks: 'G9',
    file: 'src/core/backlog/noted.ts',
    find: 'const key = await noted(backlog.bury(dead, name))',
    replace: "log(lineOf(dead), { key: '' })\n      const key = await noted(backlog.bury(dead, name))",
    tests: noted,
  },
  {
    name: 'an event is logged under another level than its page says',
    breaks: 'G9',
    file: 'src/core/log.ts',
    find: "among(errors) ? 'error'",
    replace: "among(errors) ? 'warn'",
    tests: docs,
  },
  {
    name: 'a request is logged with whatever method it names',
    breaks: 'G8',
    file: 'src/edge/http/request-line.ts',
    find: "return methods.has(req.method) ? req.method : 'other'",
    replace: 'return methods.size > 0 ? req.method : req.method',
    tests: requests,
  },
  {
    name: 'a flood of failed authentications fills the log',
    breaks: 'G7',
    file: 'src/edge/http/request-line.ts',
    find: '(status < 400 || status === 401)',
    replace: 'status < 400',
    tests: requests,
  },
  {
    name: 'requests are logged although LOG_REQUESTS is off',
    breaks: 'G8',
    file: 'src/edge/http/request-line.ts',
    find: "logRequests === 'off' || ",
    replace: '',
    tests: requests,
  },
  {
    name: 'a trace of two versions is read with whatever stands behind it',
    breaks: 'G8',
    file: 'src/edge/http/trace.ts',
    find: '-[0-9a-f]{2}$/',
    replace: '-[0-9a-f]{2}/',
    tests: trace,
  },
  {
    name: 'a trace of zeros is one',
    breaks: 'G9',
    file: 'src/edge/http/trace.ts',
    find: 'zeros.test(traceId) || zeros.test(spanId)',
    replace: "traceId === '0'",
    tests: trace,
  },
  {
    name: 'the trace of a request stands in the lines of others',
    breaks: 'G8',
    file: 'src/server/index.ts',
    find: 'const log = tracedLog(write, () => traces.getStore())',
    replace: "const log = tracedLog(write, () => traces.getStore() ?? 'a trace')",
    tests: requests,
  },
]
