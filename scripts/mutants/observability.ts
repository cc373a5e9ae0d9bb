/** Deliberate bugs in what the relay says about itself: log, traces, metrics. */
import type { Mutant } from './mutant.ts'

const noted = ['test/core/backlog/noted.test.ts']
const requests = ['test/edge/http/request-line.test.ts']
const trace = ['test/edge/http/trace.test.ts']
const docs = ['test/docs.test.ts']
const metrics = ['test/relay/metrics.test.ts']
const examples = ['test/examples/prometheus.test.ts']

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
  {
    name: '/metrics is for anybody',
    breaks: 'security',
    file: 'src/edge/routes/metrics.ts',
    find: 'throwsErrors, operatorOnly(partsOf), async',
    replace: 'throwsErrors, async',
    tests: metrics,
  },
  {
    name: 'a silent ledger keeps /metrics from answering',
    breaks: 'G9',
    file: 'src/relay/metrics.ts',
    find: "log('metrics_incomplete', { error: errorName(error) })\n      return undefined",
    replace: "log('metrics_incomplete', { error: errorName(error) })\n      throw error",
    tests: metrics,
  },
  {
    name: 'times are given in milliseconds',
    breaks: 'G9',
    file: 'src/relay/metrics.ts',
    find: '[{ value: atMs / 1_000 }]',
    replace: '[{ value: atMs }]',
    tests: metrics,
  },
  {
    name: 'the line of a metric ends where a label does',
    breaks: 'G8',
    file: 'src/edge/http/metrics-text.ts',
    find: ".replaceAll('\\n', '\\\\n')",
    replace: '',
    tests: metrics,
  },
  {
    name: 'Prometheus can’t read OpenMetrics to its end',
    breaks: 'G9',
    file: 'src/edge/http/metrics-text.ts',
    find: "...(openMetrics ? ['# EOF'] : [])",
    replace: '',
    tests: examples,
  },
  {
    name: 'a metric that the rules ask for has another name',
    breaks: 'G9',
    file: 'src/relay/metrics.ts',
    find: "timestamp('flush_last',",
    replace: "timestamp('last_flush',",
    tests: examples,
  },
  {
    name: 'a source that is not configured has series of its own',
    breaks: 'G7',
    file: 'src/relay/metrics-updates.ts',
    find: 'sources.has(name) ? name : otherSource',
    replace: "name === '' ? otherSource : name",
    tests: metrics,
  },
]
