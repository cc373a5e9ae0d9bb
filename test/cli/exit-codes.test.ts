/** Every command ends with the exit code that docs/cli.md promises, and gives the reason in one line. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { exit } from '../../src/cli/command.ts'
import { cli, type Ran } from '../support/cli.ts'
import { type FakeAnswer, startFakeRelay } from '../support/fake-relay.ts'
import { freePort } from '../support/redis.ts'
import { settingsFor } from '../support/settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-exit-'))
let serial = 0
const pathOf = (end = 'txt') => join(folder, `file-${++serial}.${end}`)
const file = (content: string, end?: string) => {
  const path = pathOf(end)
  writeFileSync(path, content)
  return path
}
const settings = (more: Record<string, string> = {}) =>
  settingsFor('http://127.0.0.1:9', { PORT: '0', RELAY_DB: pathOf('sqlite'), ...more })
const bad = 'test/cli/fixtures/bad-sources.ts'
const rows = 'batch=thirdPartyId,tier\n1,x\n'
const usage = {
  used: 1,
  limit: 10,
  remaining: 9,
  health: { paused: false },
  buckets: [],
  counters: {},
  totals: {},
  leads: {},
}
const at = '2026-11-24T10:00:00.000Z'
const status = { quota: { used: 1, limit: 10 }, paused: false, checks: { store: 'ok' } }
const census = { waiting: 0, bySource: {}, byReason: {}, complete: true }
const erased = { entries: 1, deadLetters: 0, mentioned: 0, unreadable: 0, complete: true }
const seals = { byKey: { k2: { entries: 1, dead: 0 } }, first: 'k2', resealed: 0, failed: 0, complete: true }
const plan = { plan: 'p1', action: 'drop', letters: 1, expiresAt: at, stay: {}, complete: true }
const planRun = { plan: 'p1', state: 'done', done: 1, of: 1, failed: 0, stay: {} }
const report = {
  ...{ read: 0, merged: 0, superseded: 0, replayed: 0, calls: 0, callsSaved: 0, deferredAgain: 0 },
  ...{ dead: 0, unreadable: 0, skipped: 0, durationMs: 1, stopped: 'drained' },
}
const state = { part: { units: [], visitors: [], events: [] }, hashKey: 'x' }
const known = { attributes: [{ name: 'tier', waitingAt: [], deliveredAt: '2026-11-24T10:00:00Z' }] }
const profile = { profileAttributes: { tier: { value: 'gold', modifiedAt: '2026-11-24T10:00:00Z' } } }

/** The command line, in this process or in a child process. */
type Command = (args: readonly string[], env?: Record<string, string>) => Promise<Ran>

/** A relay and a Target in one. It answers as usual except for the given answers. */
const startRelay = (given: Readonly<Record<string, FakeAnswer>> = {}) =>
  startFakeRelay((path, body) => {
    const [at = ''] = path.split('?')
    const usual: Readonly<Record<string, unknown>> = {
      '/admin/api/status': status,
      '/admin/api/backlog': census,
      '/admin/api/flush': report,
      '/admin/api/pause': { paused: true },
      '/admin/api/resume': { paused: false },
      '/admin/api/breaker/close': {},
      '/admin/api/erase': erased,
      '/admin/api/quota/spent': usage,
      '/admin/api/audit': { acts: [] },
      '/admin/api/seals': seals,
      '/admin/api/series': { step: 600, slots: [] },
      '/admin/api/dead/export': '{"complete":true}\n',
      '/admin/api/dead/import': { kept: 1, other: 0, unreadable: 0, foreign: 0 },
      '/admin/api/dead/list': { letters: [] },
      '/admin/api/dead/plan': plan,
      '/admin/api/dead/run': planRun,
      '/admin/api/dead/plans/p1/cancel': { ...planRun, state: 'cancelled' },
      '/metrics': '# EOF',
      '/admin/api/ledger/state': state,
      '/admin/api/visitor': known,
      '/rest/v1/profiles/thirdPartyId/1': profile,
      '/v1/updates': {
        results: body === '' ? [] : (JSON.parse(body) as { updates: [] }).updates?.map(() => ({ status: 'submitted' })),
      },
    }
    return given[at] ?? (at in usual ? { body: usual[at] } : { status: 404 })
  })
async function ask(
  command: Command,
  args: readonly string[],
  given: Readonly<Record<string, FakeAnswer>> = {},
  env: Record<string, string> = {},
): Promise<Ran> {
  using relay = await startRelay(given)
  return await command(args, {
    RELAY_URL: relay.url,
    TARGET_ORIGIN: relay.url,
    TARGET_CLIENT_CODE: 'demo',
    API_TOKEN: 'a',
    ADMIN_TOKEN: 'b',
    ...env,
  })
}

interface Process extends Ran {
  readonly signal: string | null
}
const running = (args: readonly string[], env: Record<string, string>, stdout: 'pipe' | 'ignore' = 'pipe') =>
  spawn(process.execPath, ['src/cli/main.ts', ...args], {
    env: { PATH: process.env['PATH'], ...env } as never,
    stdio: ['ignore', stdout, 'pipe'],
  })
async function ended(child: ReturnType<typeof running>): Promise<Process> {
  const closed = new Promise<[number | null, string | null]>((resolve) => child.on('close', (...how) => resolve(how)))
  // A test may have closed it: then there is nothing to read.
  const all = async (from: typeof child.stdout) =>
    from === null || from.destroyed ? '' : await text(from).catch(() => '')
  const [out, err] = await Promise.all([all(child.stdout), all(child.stderr)])
  const [status, signal] = await closed
  return { status: status ?? -1, signal, out, err: err.trim() }
}
/** Runs the command in a child process. */
const spawned: Command = (args, env = {}) => ended(running(args, env))

/** A database that another process holds, as a backup or a shell would. @param used whether a relay used it before */
async function withLocked<T>(used: boolean, work: (env: Record<string, string>) => Promise<T>): Promise<T> {
  const env = settings()
  if (used) await spawned(['flush'], env)
  const database = new DatabaseSync(env['RELAY_DB'] ?? '')
  database.exec(used ? 'BEGIN IMMEDIATE' : 'BEGIN EXCLUSIVE')
  try {
    return await work(env)
  } finally {
    database.close()
  }
}

/** `alert --test` with a receiver that answers so. */
async function alerting(command: Command, status: number, env: Record<string, string> = {}): Promise<Ran> {
  using receiver = await startRelay({ '/alert': { status } })
  const secret = Buffer.alloc(32, 1).toString('base64')
  return await command(['alert', '--test'], { ALERT_URL: `${receiver.url}/alert`, ALERT_SECRET: secret, ...env })
}

/** Each of them: done, a relay that fails, an argument too many, and a token that is not taken. */
function asking(all: readonly (readonly [command: string, args: readonly string[], path: string])[]): readonly Case[] {
  return all.flatMap(([command, args, path]): Case[] => {
    const what = [command, ...args].join(' ')
    return [
      [command, 0, what, (cli) => ask(cli, [command, ...args])],
      [command, 1, `${what}: a relay that fails`, (cli) => ask(cli, [command, ...args], { [path]: { status: 503 } })],
      [command, 2, `${what}: an argument too many`, (cli) => ask(cli, [command, ...args, 'x', 'y'])],
      [command, 2, `${what}: another token`, (cli) => ask(cli, [command, ...args], { [path]: { status: 401 } })],
    ]
  })
}

type Case = readonly [command: string, code: number, what: string, ran: (cli: Command) => Promise<Ran>]
const cases: readonly Case[] = [
  [
    'serve',
    0,
    'asked to stop',
    async () => {
      const child = running(['serve'], settings())
      child.stdout?.once('data', () => child.kill('SIGTERM'))
      const { out, ...rest } = await ended(child)
      return { ...rest, out: '' }
    },
  ],
  ['serve', 1, 'a locked database', () => withLocked(false, (env) => spawned(['serve'], env))],
  ['serve', 2, 'bad settings', (cli) => cli(['serve'], { ...settings(), QUOTA_LIMIT: 'x' })],
  ['serve', 2, 'a database in a missing folder', (cli) => cli(['serve'], settings({ RELAY_DB: '/nowhere/at/all' }))],
  [
    'serve',
    2,
    'a file that is not a database',
    (cli) => cli(['serve'], settings({ RELAY_DB: file('x'.repeat(8_192)) })),
  ],
  ['flush', 0, 'nothing to do', (cli) => cli(['flush'], settings())],
  [
    'flush',
    1,
    'a ledger that does not answer',
    (cli) => cli(['flush'], settings({ UPSTASH_REDIS_REST_URL: 'http://127.0.0.1:1', UPSTASH_REDIS_REST_TOKEN: 'x' })),
  ],
  ['flush', 1, 'a locked database', () => withLocked(false, (env) => spawned(['flush'], env))],
  ['flush', 1, 'a locked database that was used before', () => withLocked(true, (env) => spawned(['flush'], env))],
  ['flush', 2, 'bad settings', (cli) => cli(['flush'], { ...settings(), QUOTA_LIMIT: 'x' })],
  ['map', 0, 'a sample', (cli) => cli(['map', 'loyalty'])],
  ['map', 1, 'an event that does not fit', (cli) => cli(['map', 'loan', file('{"loan":1}')])],
  ['map', 2, 'a directory', (cli) => cli(['map', 'loan', folder])],
  ['lint', 0, 'the examples', (cli) => cli(['lint'])],
  [
    'lint',
    1,
    'bad sources',
    async (cli) => ({ ...(await cli(['lint', '--sources', bad])), err: 'lint: in its results' }),
  ],
  ['lint', 2, 'no sources', (cli) => cli(['lint', '--sources', 'nowhere.ts'])],
  ['send', 0, 'all accepted', (cli) => ask(cli, ['send', file(rows)])],
  ['send', 1, 'a row that is refused', (cli) => ask(cli, ['send', file('batch=thirdPartyId,tier\n1,%zz\n')])],
  [
    'send',
    1,
    'a row that Target rejected',
    async (cli) => ({
      ...(await ask(cli, ['send', file(rows)], { '/v1/updates': { body: { results: [{ status: 'rejected' }] } } })),
      err: 'send: in its results',
    }),
  ],
  ['send', 2, 'a directory', (cli) => ask(cli, ['send', folder])],
  ['alert', 0, 'a receiver that takes it', (cli) => alerting(cli, 204)],
  ['alert', 1, 'one that does not', (cli) => alerting(cli, 500)],
  ['alert', 2, 'no receiver', (cli) => cli(['alert', '--test'])],
  ['alert', 2, 'a secret that is none', (cli) => alerting(cli, 200, { ALERT_SECRET: 'x' })],
  ['alert', 2, 'without --test', (cli) => cli(['alert'])],
  ['verify', 0, 'everything in Target', (cli) => ask(cli, ['verify', '1'])],
  [
    'verify',
    1,
    'no such profile',
    async (cli) => ({ ...(await ask(cli, ['verify', '2'])), err: 'verify: in its results' }),
  ],
  ...(
    [
      ['HTML', { body: '<html>' }],
      ['a list', { body: [] }],
      ['null', { body: 'null' }],
      ['attributes that are text', { body: { profileAttributes: 'x' } }],
      ['attributes that are a list', { body: { profileAttributes: [null] } }],
      ['a failure', { status: 500 }],
      ['a redirect', { status: 302, headers: { location: 'https://elsewhere.example/' } }],
    ] satisfies [string, FakeAnswer][]
  ).map(
    ([what, answer]): Case => [
      'verify',
      1,
      `a profile fetch that answers ${what}`,
      (cli) => ask(cli, ['verify', '1'], { '/rest/v1/profiles/thirdPartyId/1': answer }),
    ],
  ),
  [
    'verify',
    1,
    'a relay that knows no visitors',
    (cli) => ask(cli, ['verify', '1'], { '/admin/api/visitor': { body: { attributes: [{}] } } }),
  ],
  ['verify', 1, 'no Target', (cli) => ask(cli, ['verify', '1'], {}, { TARGET_ORIGIN: 'http://127.0.0.1:1' })],
  ['verify', 2, 'no visitor', (cli) => ask(cli, ['verify'])],
  ['status', 0, 'ready', (cli) => ask(cli, ['status'])],
  [
    'status',
    1,
    'not ready',
    async (cli) => ({
      ...(await ask(cli, ['status'], { '/admin/api/status': { body: { ...status, checks: { store: 'fail' } } } })),
      err: 'status: in its results',
    }),
  ],
  [
    'status',
    1,
    'a check that fails',
    async (cli) => ({
      ...(await ask(cli, ['status'], { '/admin/api/status': { body: { ...status, checks: { target: 'fail' } } } })),
      err: 'status: in its results',
    }),
  ],
  ['status', 1, 'HTML', (cli) => ask(cli, ['status'], { '/admin/api/status': { body: '<html>' } })],
  ['status', 1, 'half an answer', (cli) => ask(cli, ['status'], { '/admin/api/status': { body: { paused: true } } })],
  [
    'status',
    1,
    'an invalid time',
    (cli) =>
      ask(cli, ['status'], {
        '/admin/api/status': { body: { ...status, quota: { ...status.quota, nextFreeAt: '+275761-01-01' } } },
      }),
  ],
  [
    'status',
    1,
    'a relay without settings',
    (cli) => ask(cli, ['status'], { '/admin/api/status': { status: 503, body: { title: 'Settings are missing' } } }),
  ],
  ['status', 2, 'a token that does not fit in a header', (cli) => ask(cli, ['status'], {}, { ADMIN_TOKEN: 'a\nb' })],
  ['flush', 0, 'a relay that is asked for a run', (cli) => ask(cli, ['flush', '--relay'])],
  ['flush', 0, 'a relay that is asked, as JSON', (cli) => ask(cli, ['flush', '--relay', '--json'])],
  [
    'flush',
    1,
    'a relay whose Target fails',
    async (cli) => ({
      ...(await ask(cli, ['flush', '--relay'], {
        '/admin/api/flush': { body: { ...report, stopped: 'target_unavailable' } },
      })),
      out: '',
      err: 'flush: in its report',
    }),
  ],
  ...asking([
    ['backlog', [], '/admin/api/backlog'],
    ['pause', [], '/admin/api/pause'],
    ['resume', [], '/admin/api/resume'],
    ['quota', [], '/admin/api/status'],
    ['quota', ['spent', '5'], '/admin/api/quota/spent'],
    ['breaker', [], '/admin/api/status'],
    ['breaker', ['close'], '/admin/api/breaker/close'],
    ['series', [], '/admin/api/series'],
    ['metrics', [], '/metrics'],
    ['audit', [], '/admin/api/audit'],
    ['keys', [], '/admin/api/seals'],
    ['keys', ['reseal'], '/admin/api/seals'],
    ['erase', ['1'], '/admin/api/erase'],
    ['dead', ['ls'], '/admin/api/dead/list'],
    ['dead', ['plan', 'drop', '--reason', 'expired'], '/admin/api/dead/plan'],
    ['dead', ['run', 'p1'], '/admin/api/dead/run'],
    ['dead', ['cancel', 'p1'], '/admin/api/dead/plans/p1/cancel'],
  ]),
  ['plan', 0, 'traffic that fits', (cli) => cli(['plan', '--shape', '1000/day', '--days', '1'])],
  [
    'plan',
    1,
    'traffic that does not fit',
    async (cli) => ({
      ...(await cli(['plan', '--shape', '1000/day', '--days', '5'], { QUOTA_LIMIT: '100' })),
      err: 'plan: in its results',
    }),
  ],
  ['plan', 2, 'no traffic', (cli) => cli(['plan'])],
  ['plan', 2, 'a shape that is none', (cli) => cli(['plan', '--shape', 'much'])],
  ['plan', 2, 'no file', (cli) => cli(['plan', '--csv', '/nowhere.csv'])],
  ['plan', 2, 'a file of something else', (cli) => cli(['plan', '--csv', file('a,b\n1,2\n', 'csv')])],
  ['plan', 2, 'prices that are none', (cli) => cli(['plan', '--shape', '9/day', '--prices', file('{"x":1}')])],
  ['plan', 2, 'bad settings', (cli) => cli(['plan', '--shape', '9/day'], { QUOTA_LIMIT: 'x' })],
  ['plan', 2, 'an argument too many', (cli) => cli(['plan', 'x', '--shape', '9/day'])],
  ['series', 2, 'a step between two slots', (cli) => ask(cli, ['series', '--step', '15'])],
  ['quota', 2, 'half a word', (cli) => ask(cli, ['quota', 'spent'])],
  ['breaker', 2, 'another word', (cli) => ask(cli, ['breaker', 'open'])],
  ['erase', 2, 'no visitor', (cli) => ask(cli, ['erase'])],
  [
    'erase',
    1,
    'what is left to do',
    (cli) =>
      ask(cli, ['erase', '1'], {
        '/admin/api/erase': { body: { ...erased, complete: false, todo: 'erase: set the key again' } },
      }),
  ],
  [
    'keys',
    1,
    'what no key opens',
    async (cli) => ({
      ...(await ask(cli, ['keys', 'reseal'], {
        '/admin/api/seals': { body: { ...seals, byKey: { k1: { entries: 1, dead: 0 } } } },
      })),
      err: 'keys: in its results',
    }),
  ],
  ['dead', 2, 'no action', (cli) => ask(cli, ['dead'])],
  ['dead', 2, 'another action', (cli) => ask(cli, ['dead', 'plan', 'burn'])],
  ['dead', 2, 'two sets', (cli) => ask(cli, ['dead', 'plan', 'drop', '--keys', 'd1/1', '--source', 'loan'])],
  ['dead', 2, 'a time that is none', (cli) => ask(cli, ['dead', 'ls', '--before', 'yesterday'])],
  ['dead', 0, 'an export', (cli) => ask(cli, ['dead', 'export', pathOf('ndjson')])],
  [
    'dead',
    1,
    'an export that breaks off',
    (cli) =>
      ask(cli, ['dead', 'export', pathOf()], { '/admin/api/dead/export': { body: '{"key":"d1/1","letter":{}}\n' } }),
  ],
  ['dead', 2, 'an export over a file', (cli) => ask(cli, ['dead', 'export', file('x')])],
  ['dead', 0, 'an import', (cli) => ask(cli, ['dead', 'import', file('{"key":"d1/1","letter":{}}\n')])],
  [
    'dead',
    1,
    'an import of what is no letter',
    async (cli) => ({
      ...(await ask(cli, ['dead', 'import', file('{"x":1}\n')], {
        '/admin/api/dead/import': { body: { kept: 0, other: 0, unreadable: 1, foreign: 0 } },
      })),
      err: 'dead: in its results',
    }),
  ],
  ['dead', 2, 'an import of a directory', (cli) => ask(cli, ['dead', 'import', folder])],
  ['dead', 2, 'no key', (cli) => ask(cli, ['dead', 'show'])],
  [
    'dead',
    1,
    'a run that failed for some',
    async (cli) => ({
      ...(await ask(cli, ['dead', 'run', 'p1'], { '/admin/api/dead/run': { body: { ...planRun, failed: 1 } } })),
      err: 'dead: in its results',
    }),
  ],
  [
    'ledger',
    0,
    'an export',
    async (cli) => ({ ...(await ask(cli, ['ledger', 'export', pathOf(), '--wait-ms', '0'])), err: '' }),
  ],
  [
    'ledger',
    1,
    'a relay that breaks off',
    (cli) => ask(cli, ['ledger', 'export', pathOf(), '--wait-ms', '0'], { '/admin/api/ledger/state': { status: 503 } }),
  ],
  [
    'ledger',
    1,
    'a locked database',
    async (cli) => {
      const path = pathOf()
      await ask(cli, ['ledger', 'export', path, '--wait-ms', '0'], {
        '/admin/api/ledger/state': { body: { ...state, hashKey: await nameOfKey() } },
      })
      return withLocked(false, (env) => spawned(['ledger', 'import', path], env))
    },
  ],
  ['ledger', 2, 'a directory', (cli) => ask(cli, ['ledger', 'import', folder])],
  ['sign', 0, 'a sample', (cli) => cli(['sign', 'kiosk'], settings())],
  ['sign', 0, 'sent', (cli) => withHooks(200, (url) => cli(['sign', 'kiosk', '--send', url], settings()))],
  ['sign', 1, 'not taken', (cli) => withHooks(401, (url) => cli(['sign', 'kiosk', '--send', url], settings()))],
  ['sign', 1, 'no relay', (cli) => cli(['sign', 'kiosk', '--send', 'http://127.0.0.1:1'], settings())],
  ['sign', 2, 'no such source', (cli) => cli(['sign', 'nobody'])],
  ['sign', 2, 'a secret that is none', (cli) => cli(['sign', 'loan'], { HOOK_SECRET_LOAN: '???' })],
  ['sign', 2, 'an address that is none', (cli) => cli(['sign', 'kiosk', '--send', 'localhost'])],
  ['emulator', 0, 'asked to stop', async () => stopped(running(['emulator', '--port', String(await freePort())], {}))],
  ['emulator', 1, 'a port in use', (cli) => withPort((port) => cli(['emulator', '--port', port]))],
  ['init', 0, 'a new folder', (cli) => cli(['init', pathOf('project')])],
  ['init', 1, 'a folder under a file', (cli) => cli(['init', join(file('x'), 'project')])],
  ['init', 2, 'a folder that is not empty', (cli) => cli(['init', folder])],
  ['init', 2, 'an unknown sender', (cli) => cli(['init', pathOf('project'), '--sender', 'nobody'])],
  ['dev', 0, 'asked to stop', async () => stopped(await devHere(), /^console/m)],
  ['dev', 1, 'a port in use', (cli) => withPort((port) => cli(['dev', '--port', port]))],
  ['dev', 2, 'sources that cannot be loaded', (cli) => cli(['dev', '--sources', 'nowhere.ts'])],
  ['emulator', 2, 'no port', (cli) => cli(['emulator', '--port', '0'])],
]

/** What a command that runs until it is stopped ends with, once it has said this. */
async function stopped(child: ReturnType<typeof running>, said = /./): Promise<Ran> {
  let text = ''
  let asked = false
  child.stdout?.on('data', (chunk) => {
    text += chunk
    // Once: a second signal ends it where it stands.
    if (asked || !said.test(text)) return
    asked = true
    child.kill('SIGTERM')
  })
  return { ...(await ended(child)), out: text }
}

/** A server under `dev`, in an empty folder. */
async function devHere(): Promise<ReturnType<typeof running>> {
  const main = resolve('src/cli/main.ts')
  const args = [main, 'dev', '--port', String(await freePort())]
  return spawn(process.execPath, args, {
    cwd: mkdtempSync(join(tmpdir(), 'target-relay-exit-dev-')),
    env: { PATH: process.env['PATH'] } as never,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** A relay that answers a webhook so. */
async function withHooks<T>(status: number, work: (url: string) => Promise<T>): Promise<T> {
  using relay = await startRelay({ '/hooks/kiosk': { status, body: {} } })
  return await work(relay.url)
}

/** A port that something else listens on. */
async function withPort<T>(work: (port: string) => Promise<T>): Promise<T> {
  using relay = await startRelay()
  return await work(new URL(relay.url).port)
}

async function nameOfKey(): Promise<string> {
  const { createHasher, hashKeyName } = await import('../../src/core/update/hash.ts')
  return hashKeyName(await createHasher(settings()['HASH_KEY'] ?? ''))
}

/** The first case of each code of each command runs as a child process, so that what only a shell sees is tested too. */
const firsts = new Set(new Map(cases.toReversed().map((one) => [`${one[0]} ${one[1]}`, one])).values())
const told = cases.map((one) => [...one, firsts.has(one) ? spawned : cli] as const)

describe('the exit code', () => {
  it.concurrent.each(told)('of %s is %i: %s', { timeout: 60_000 }, async (command, code, what, ran, how) => {
    const { status, out, err } = await ran(how)
    expect([status, out, err]).toEqual([code, expect.anything(), expect.anything()])
    expect(out + err).not.toMatch(/^\s+at /m)
    expect(/does not answer/.test(err)).toBe(what === 'no Target' || what === 'no relay')
    if (code === exit.ok) return
    // A run that could not work has the reason in its report.
    if (command === 'flush' && out !== '') expect(out).toContain('ledger_unavailable')
    else
      expect(err).toMatch(
        command === 'send' && code === exit.failed
          ? /./
          : command === 'map' && code === exit.failed
            ? /^unmappable/
            : new RegExp(`^${command}: [^\\n]+$`),
      )
  })

  it.concurrent('of an internal error is 70, with the place where it happened', { timeout: 60_000 }, async () => {
    const mistake = "URL.canParse = () => { throw new TypeError('a mistake') }"
    const NODE_OPTIONS = `--import "data:text/javascript,${encodeURIComponent(mistake)}"`
    const { status, out, err } = await spawned(['status'], { ADMIN_TOKEN: 'x', NODE_OPTIONS })
    expect([status, out, err]).toEqual([
      exit.broken,
      '',
      expect.stringMatching(/^status: a fault of target-relay's own: TypeError: a mistake\n\s+at /),
    ])
  })

  it.concurrent.each([
    [[], exit.ok, /^target-relay <command>/, /^$/],
    [['status', '--help'], exit.ok, /^target-relay status/, /^$/],
    [['sned'], exit.misused, /^$/, /^unknown command sned\n/],
    [['status', '--nonsense'], exit.misused, /^$/, /^status: [^\n]*--nonsense[^\n]*$/],
  ] as const)('of %j is %i', { timeout: 60_000 }, async (args, code, out, err) => {
    expect(await spawned(args)).toMatchObject({
      status: code,
      out: expect.stringMatching(out),
      err: expect.stringMatching(err),
    })
  })
})

describe('docs/cli.md', () => {
  const page = readFileSync('docs/cli.md', 'utf8')
  it('lists every code and every command', async () => {
    expect([...page.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))).toEqual(Object.values(exit))
    const commands = [...(await cli(['--help'])).out.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name)
    expect([...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)).toEqual(commands)
    // Each command has a case above for each code.
    const pairs = new Set(cases.map(([command, code]) => `${command} ${code}`))
    for (const command of commands) for (const code of [0, 1, 2]) expect(pairs).toContain(`${command} ${code}`)
  })
})

describe('standard output', () => {
  it('that was closed by its reader does not affect the work', { timeout: 60_000 }, async () => {
    for (const args of [['--help'], ['map', 'loyalty', '--json'], ['flush']]) {
      const child = running(args, settings())
      child.stdout?.destroy()
      expect(await ended(child)).toMatchObject({ status: 0, err: '' })
    }
  })

  it('of a server that was closed by its reader is reported once, and the server goes on', {
    timeout: 60_000,
  }, async () => {
    const child = running(['serve'], settings())
    const url = await new Promise<string>((resolve) =>
      child.stdout?.once('data', (line) => resolve(String(JSON.parse(String(line).split('\n')[0] ?? '').url))),
    )
    child.stdout?.destroy()
    for (let times = 0; times < 3; times++) expect((await fetch(`${url}/healthz`)).status).toBe(200)
    child.kill('SIGTERM')
    const { status, err } = await ended(child)
    expect([status, err]).toEqual([0, 'serve: standard output cannot be written (EPIPE)'])
  })

  it.runIf(existsSync('/dev/full'))('that cannot be written is exit code 1', { timeout: 60_000 }, async () => {
    const child = spawn('/bin/sh', ['-c', `exec "${process.execPath}" src/cli/main.ts --help > /dev/full`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    expect(await ended(child as never)).toMatchObject({
      status: 1,
      err: expect.stringMatching(/^\S*: ?standard output cannot be written \(ENOSPC\)$/),
    })
  })
})
