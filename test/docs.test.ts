/** The documentation matches the code. */
import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type LogEvent, levelOf } from '../src/core/log.ts'
import { deferReasons, setAsideReasons } from '../src/core/update/reasons.ts'
import { emptyReport } from '../src/cron/report.ts'
import { exampleBody } from '../src/dev/example-body.ts'
import { devSecretOf } from '../src/dev/secrets.ts'
import * as presets from '../src/edge/auth/presets.ts'
import { authFailures } from '../src/edge/auth/scheme.ts'
import { problemStatus, problemTypes } from '../src/edge/http/problem.ts'
import { startEmulator } from '../src/emulator/emulator.ts'
import { sources } from '../src/sources.ts'
import { ownLinks, relativeLinks } from './support/pages.ts'
import { startServer } from './support/server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = (path: string) => readFileSync(join(root, path), 'utf8')
/** The cells of a page's tables, row by row. */
const cells = (text: string) =>
  [...text.matchAll(/^\| (.+) \|$/gm)].map(([, row = '']) => row.split(' | ').map((cell) => cell.trim()))

describe('docs/http.md', () => {
  const [, problems = '', failures = ''] = page('docs/http.md').split(/^## (?:Problems|Authentication failures)$/m)

  it('lists exactly the problems that exist, each with its status, a cause and what to do', () => {
    const rows = cells(problems).filter(([name]) => name?.startsWith('`'))
    expect(rows.map(([name, status]) => [name, status]).sort()).toEqual(
      problemTypes.map((type) => [`\`${type}\``, String(problemStatus(type))]).sort(),
    )
    for (const [name, , cause = '', cure = ''] of rows)
      expect([name, cause.length > 20, cure.length > 10]).toEqual([name, true, true])
  })

  it('lists every reason of a deferral and of what is set aside', () => {
    const http = page('docs/http.md')
    const [, reasons = ''] = http.split('### Reasons of a deferral\n')
    const rows = cells(reasons.split('\n## ')[0] ?? '').filter(([name]) => name?.startsWith('`'))
    expect(rows.slice(1).map(([name]) => name)).toEqual(deferReasons.map((reason) => `\`${reason}\``))
    for (const reason of setAsideReasons) expect(http).toContain(`\`${reason}\``)
  })

  it('lists every reason of a failed authentication', () => {
    const rows = cells(failures).filter(([name]) => name?.startsWith('`'))
    expect(rows.map(([name]) => name).sort()).toEqual(authFailures.map((why) => `\`${why}\``).sort())
  })
})

describe('docs/observability.md', () => {
  const declared = [...page('src/core/log.ts').matchAll(/'([a-z]+(?:_[a-z]+)*)',?$/gm)].map(([, name = '']) => name)
  const events = [...new Set(declared)].filter((name): name is LogEvent => !['info', 'warn', 'error'].includes(name))
  const [, log = ''] = page('docs/observability.md').split('\n## The log\n')
  const rows = cells(log.split('\n## ')[0] ?? '').filter(([, level = '']) => ['info', 'warn', 'error'].includes(level))

  it('lists every event of the log with its level, and no other', () => {
    const listed = rows.flatMap(([names = '', level]) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name]) => [name, level]),
    )
    expect(listed.sort()).toEqual(events.map((name) => [name, levelOf(name)]).sort())
  })

  it('every event that is declared is written somewhere', () => {
    const files = globSync('src/**/*.ts', { cwd: root }).filter((file) => !file.endsWith('log.ts'))
    const code = files.map(page).join('')
    expect(events.filter((name) => !code.includes(`'${name}'`))).toEqual([])
  })

  it('lists every field of a flush’s report', () => {
    const [, , fields = ''] = rows.find(([name]) => name === '`flush`') ?? []
    for (const field of [...Object.keys(emptyReport()), 'quotaLeft', 'retryAtMs'])
      expect(fields).toContain(`\`${field}\``)
  })
})

describe('the examples in the documentation', () => {
  it('the Kubernetes example probes /readyz, with a time-out longer than a silent ledger takes', () => {
    const [, path = '', seconds = ''] =
      /readinessProbe:\s+httpGet: \{ path: (\S+), port: 8787 \}\s+timeoutSeconds: (\d+)/.exec(
        page('docs/examples/kubernetes.yaml'),
      ) ?? []
    const ledgerMs = Number(/^\| `LEDGER_TIMEOUT_MS` +\| (\d+)/m.exec(page('docs/settings.md'))?.[1])
    expect([path, Number(seconds) * 1_000 > 2 * ledgerMs]).toEqual(['/readyz', true])
  })

  it('docs/sources.md: what is signed is accepted with the secrets of `npm run dev`, printed or sent', async () => {
    const [, block = ''] =
      /## Signing an event yourself[\s\S]*?```sh\n([\s\S]*?)```/.exec(page('docs/sources.md')) ?? []
    const loan = sources.find(({ name }) => name === 'loan')
    if (loan === undefined) throw new Error('no source loan')
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin, {
      settings: { HOOK_SECRET_LOAN: (await devSecretOf(loan)) ?? '' },
    })
    const file = join(mkdtempSync(join(tmpdir(), 'target-relay-docs-')), 'event.json')
    writeFileSync(file, exampleBody(loan, Date.now() - 1_000) ?? '')
    const script = block.replaceAll('http://127.0.0.1:8787', server.url).replaceAll('event.json', file)
    const env = { ...process.env, RELAY_URL: server.url, npm_config_loglevel: 'silent' }
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: root, env })
    const commands = stdout.split(/^(?=curl )/m).map((command) => command.replace(/^\{.*/ms, ''))
    expect(commands.map((command) => command.slice(0, 5))).toEqual(['curl ', 'curl '])
    expect(stdout).toMatch(/^\{.*"status":"submitted"/m)
    for (const [command, status] of [
      [commands[0], 'submitted'],
      // Its event was sent before.
      [commands[1], 'duplicate'],
    ]) {
      const sent = await promisify(execFile)('sh', ['-c', `${command?.trim()} --silent`])
      expect(JSON.parse(sent.stdout)).toMatchObject({ status })
    }
  }, 60_000)
})

describe('docs/sources.md', () => {
  it('has as many presets as the README claims', () => {
    expect(page('README.md')).toContain(`presets for ${Object.keys(presets).length} senders`)
  })

  const rows = page('docs/sources.md').split('\n')
  it.each(Object.entries(presets).map(([name, preset]) => [name, preset] as const))(
    'has a correct row for %s',
    (name, preset) => {
      const row = rows.find((line) => line.startsWith(`| \`${name}()\``))
      const [, , , proves = '', time = '', id = ''] = row?.split('|').map((cell) => cell.trim()) ?? []
      const [descriptor] = preset.descriptors
      expect(time).toBe(preset().seesTime === true ? 'yes' : 'no')
      expect(id.replaceAll('`', '').replace(', signed', '')).toBe(descriptor?.id ?? '')
      expect(id.endsWith('signed')).toBe(descriptor?.signed.includes('{id}') === true)
      expect(proves.includes('body') || proves.includes('not signed')).toBe(true)
      expect(proves.includes('not signed')).toBe(descriptor?.bodyUnsigned === true)
      expect(proves.includes('URL')).toBe(/\{url\}/.test(descriptor?.signed ?? ''))
    },
  )
})

describe('README', () => {
  it('links to every page', () => {
    const readme = page('README.md')
    const linked = [...relativeLinks(readme, 'README.md'), ...ownLinks(readme)].map(({ path }) => path)
    expect(globSync('docs/*.md', { cwd: root }).filter((one) => !linked.includes(one))).toEqual([])
  })
})

describe('docs/cli.md', () => {
  it('lists every fault of the stand-in, and no other', () => {
    const [, declared = ''] = page('src/emulator/faults.ts').split('export type FaultKind =')
    const kinds = [...(declared.split('\nexport')[0] ?? '').matchAll(/^ {2}\| '([a-z-]+)'$/gm)].map(([, kind]) => kind)
    const listed = [...page('docs/cli.md').matchAll(/^\| (`"[^|]+) \|/gm)].flatMap(([, names = '']) =>
      [...names.matchAll(/"([a-z-]+)"/g)].map(([, kind]) => kind),
    )
    expect(kinds.length).toBeGreaterThan(5)
    expect(listed.sort()).toEqual(kinds.sort())
  })
})

describe('docs/settings.md and docs/cli.md', () => {
  const [settingsPage, cli] = [page('docs/settings.md'), page('docs/cli.md')]
  const settings = [...page('src/relay/settings-table.ts').matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(
    ([, name = '']) => name,
  )
  it.each(settings)('names the setting %s', (name) => {
    expect(settingsPage).toContain(`\`${name}\``)
  })

  it.each([...page('src/cli/main.ts').matchAll(/^ {2}([a-z]+),$/gm)].map(([, name]) => name))(
    'names the command %s',
    (name) => {
      expect(cli).toMatch(new RegExp(`^\\|.* \`target-relay ${name}\\b`, 'm'))
    },
  )
})
