/** Deliberate bugs in who may operate, and in the record of it. */
import type { Mutant } from './mutant.ts'

const audit = ['test/edge/routes/audit.test.ts']
const admin = ['test/edge/routes/admin.test.ts']
const settings = ['test/relay/settings.test.ts']
const access = 'src/edge/routes/admin/access.ts'
const record = 'src/edge/routes/admin/audit.ts'

export const operatorMutants: readonly Mutant[] = [
  {
    name: 'one who only looks may change things',
    breaks: 'security',
    file: access,
    find: "whoOf(c).role === 'view' && !isRead(c)",
    replace: "whoOf(c).role === 'view' && isRead(c)",
    tests: audit,
  },
  {
    name: 'behind a proxy that ends TLS the console may do nothing',
    breaks: 'G9',
    file: access,
    find: 'URL.parse(origin)?.host !== new URL(c.req.url).host',
    replace: 'URL.parse(origin)?.origin !== new URL(c.req.url).origin',
    tests: admin,
  },
  {
    name: 'a page of any origin may operate where the browser does not say which',
    breaks: 'security',
    file: access,
    find: 'origin !== undefined && URL.parse(origin)?.host',
    replace: 'origin === undefined && URL.parse(origin)?.host',
    tests: admin,
  },
  {
    name: 'one who only looks may export the ledger',
    breaks: 'security',
    file: record,
    find: "if (role === 'view') throw new ViewOnly()",
    replace: '',
    tests: audit,
  },
  {
    name: 'a form may operate with the credentials that a browser sends',
    breaks: 'security',
    file: access,
    find: "if (whoOf(c).byItself && !isJson(c.req.header('content-type') ?? null))",
    replace: "if (!whoOf(c).byItself && !isJson(c.req.header('content-type') ?? null))",
    tests: admin,
  },
  {
    name: 'any user name goes with a token',
    breaks: 'security',
    file: 'src/edge/auth/operators.ts',
    find: 'if (basic !== undefined && basic.user !== role && basic.user !== name) return undefined',
    replace: '',
    tests: audit,
  },
  {
    name: 'whom Access names may operate without being on the list',
    breaks: 'security',
    file: 'src/edge/auth/operators.ts',
    find: 'name !== undefined && allowed.includes(name)',
    replace: 'name !== undefined',
    tests: audit,
  },
  {
    name: 'an act is done although its record was not kept',
    breaks: 'G9',
    file: record,
    find: 'else await record(what, details)',
    replace: 'else await record(what, details).catch(() => {})',
    tests: audit,
  },
  {
    name: 'another operator’s part of an import goes unrecorded',
    breaks: 'G9',
    file: record,
    find: '[role, who, what].join',
    replace: '[what].join',
    tests: audit,
  },
  {
    name: 'the oldest acts are kept for ever (SQL)',
    breaks: 'G9',
    file: 'src/core/ledger/sql/acts.ts',
    find: 'SELECT max(place) FROM relay_act) - ?',
    replace: 'SELECT min(place) FROM relay_act) - ?',
    tests: ['test/core/ledger/sql/ledger.test.ts'],
  },
  {
    name: 'the oldest acts are kept for ever (Redis)',
    breaks: 'G9',
    file: 'src/core/ledger/redis/ledger.ts',
    find: '.ltrim(keys.acts, 0, limits.actsKept - 1)',
    replace: '.ltrim(keys.acts, 0, -1)',
    tests: ['test/core/ledger/redis/ledger.test.ts'],
  },
  {
    name: 'to close the breaker resumes what was paused',
    breaks: 'G1',
    file: 'src/core/ledger/rules/health.ts',
    find: 'return { ...healthy, paused, saidYes }',
    replace: 'return { ...healthy, saidYes }',
    tests: ['test/core/ledger/sql/ledger.test.ts'],
  },
  {
    name: 'a breaker that is closed keeps its evidence (Redis)',
    breaks: 'G7',
    file: 'src/core/ledger/redis/scripts/health.ts',
    find: 'local open = h.breaker ~= nil\nforget(h)',
    replace: 'local open = h.breaker ~= nil\nh.breaker = nil',
    tests: ['test/core/ledger/redis/ledger.test.ts'],
  },
  {
    name: 'one token is an operator’s twice',
    breaks: 'security',
    file: 'src/relay/settings-rules.ts',
    find: 'if (new Set(operators[index]).size < (operators[index]?.length ?? 0))',
    replace: 'if (false as boolean)',
    tests: settings,
  },
]
