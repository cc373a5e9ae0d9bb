/**
 * A stranger's first hour, from an empty folder with the packed file: a project is made, passes its own checks, and runs; a
 * source of one's own is added, and its event is seen. The commands are the README's.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { projectFiles, sendersHere } from '../src/cli/init.ts'
import { secretName } from '../src/edge/source/check.ts'
import { examples } from './senders/sources.ts'
import { runningCommand } from './support/dev.ts'
import { dependenciesOf, install, type Packed, pack } from './support/packed.ts'
import { freePort } from './support/redis.ts'

let packed: Packed
/** Where `npx target-relay` is found before anything is installed. */
const global = mkdtempSync(join(tmpdir(), 'target-relay-global-'))
const run = promisify(execFile)
const environment = (more: Readonly<Record<string, string>> = {}) =>
  ({
    PATH: `${join(global, 'node_modules/.bin')}:${process.env['PATH']}`,
    HOME: global,
    // As `npm install --global` leaves it; npx looks here before it asks a registry.
    npm_config_prefix: global,
    npm_config_offline: 'true',
    WRANGLER_SEND_METRICS: 'false',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    ...more,
  }) as unknown as NodeJS.ProcessEnv
const emptyFolder = () => mkdtempSync(join(tmpdir(), 'target-relay-first-'))

beforeAll(() => {
  packed = pack()
  install(packed, global)
  symlinkSync(join(global, 'node_modules/.bin'), join(global, 'bin'))
}, 240_000)

/** A new project, installed. */
async function project(...args: string[]): Promise<string> {
  const folder = join(emptyFolder(), 'My Shop')
  await run('target-relay', ['init', folder, ...args], { env: environment() })
  install(packed, folder)
  return folder
}

describe('target-relay init', { timeout: 240_000 }, () => {
  it('writes a project that passes its own test and its own check, to the dry run of a deploy', async () => {
    const folder = await project()
    expect(
      readdirSync(folder, { recursive: true })
        .filter((path) => !String(path).startsWith('node_modules'))
        .sort(),
    ).toEqual(
      [
        ...['.dev.vars.example', '.gitignore', 'README.md', 'package.json', 'src', 'src/sources.ts', 'src/worker.ts'],
        ...['test', 'test/sources.test.ts', 'tsconfig.json', 'wrangler.toml'],
      ].sort(),
    )
    const tested = await run('npm', ['test'], { cwd: folder, env: environment() })
    expect(tested.stdout).toMatch(/pass 2\n[\s\S]*fail 0\n/)
    const checked = await run('npm', ['run', 'check'], { cwd: folder, env: environment() })
    expect(checked.stdout).toContain('source call-centre: standard-webhooks, HOOK_SECRET_CALL_CENTRE, ok')
    expect(checked.stdout).toMatch(/env\.LEDGER[\s\S]*env\.BACKLOG[\s\S]*--dry-run: exiting now/)
    for (const environmentName of ['', 'staging']) {
      const dry = ['deploy', '--dry-run', '--env', environmentName]
      expect(
        (await run(join(folder, 'node_modules/.bin/wrangler'), dry, { cwd: folder, env: environment() })).stdout,
      ).toMatch(/env\.LEDGER[\s\S]*env\.BACKLOG/)
    }
    expect(readFileSync(join(folder, 'wrangler.toml'), 'utf8')).toMatch(/^name = "my-shop"$/m)
  })

  it('takes the source of a sender: the project is checked and tested as any other', async () => {
    const folder = await project('--sender', 'salesforce-outbound-message')
    const tested = await run('npm', ['test'], { cwd: folder, env: environment() })
    expect(tested.stdout).toMatch(/pass 1\n[\s\S]*fail 0\n/)
    await run(join(folder, 'node_modules/.bin/tsc'), [], { cwd: folder, env: environment() })
    const linted = await run('npx', ['target-relay', 'lint'], { cwd: folder, env: environment() })
    expect(linted.stdout).toContain('source salesforce:')
    // What the example imports is asked for, in the version that is tested here.
    expect(dependenciesOf(folder)['fast-xml-parser']).toMatch(/^\^\d/)
  })

  it('refuses a folder that is not empty, and changes nothing in it', async () => {
    const folder = emptyFolder()
    writeFileSync(join(folder, 'notes.txt'), 'mine')
    const refused = run('target-relay', ['init', folder], { env: environment() })
    await expect(refused).rejects.toMatchObject({ code: 2, stderr: `init: ${folder} is not empty\n` })
    expect(readdirSync(folder)).toEqual(['notes.txt'])
  })
})

describe.each(sendersHere())('a project for %s', (sender) => {
  it('names the secret of its source, and no other', () => {
    const files = projectFiles('shop', sender)
    const name = /source\('([a-z0-9-]+)'/.exec(files['src/sources.ts'] ?? '')?.[1] ?? ''
    const source = examples.find((one) => one.name === name)
    const secrets = source?.auth.needsSecret === false ? [] : [secretName(name)]
    expect([...(files['.dev.vars.example'] ?? '').matchAll(/^HOOK_SECRET_\w+/gm)].map(([secret]) => secret)).toEqual(
      secrets,
    )
    expect([...(files['README.md'] ?? '').matchAll(/HOOK_SECRET_\w+/g)].map(([secret]) => secret)).toEqual(secrets)
    expect(source).toBeDefined()
  })
})

describe('settings that a project is given', () => {
  it('hold nothing that works as it is', () => {
    const files = projectFiles('shop')
    const values = [...(files['.dev.vars.example'] ?? '').matchAll(/^(\w+)=(.*)$/gm)]
    expect(values.length).toBeGreaterThan(3)
    expect(values.filter(([, , value]) => value !== '')).toEqual([])
    expect(
      [...(files['wrangler.toml'] ?? '').matchAll(/TARGET_CLIENT_CODE = "(.*?)"/g)].map(([, code]) => code),
    ).toEqual([...['', '', '']])
  })
})

/** The commands of the README under a heading, block by block. */
function commandsOf(heading: string): readonly string[] {
  const [, section = ''] = readFileSync('README.md', 'utf8').split(`\n## ${heading}\n`)
  return [...(section.split('\n## ')[0] ?? '').matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block)
}

function isFree(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}`).then(
    () => false,
    () => true,
  )
}

/** Two free ports, one behind the other. */
async function devPort(): Promise<number> {
  for (;;) {
    const port = await freePort()
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
}

describe('the README', { timeout: 300_000 }, () => {
  it('leads from an empty folder to an event of one’s own that is seen, by its commands as they are printed', async () => {
    const startedMs = Date.now()
    const empty = emptyFolder()
    const port = await devPort()
    const here = (text: string) =>
      text.replaceAll('127.0.0.1:8787', `127.0.0.1:${port}`).replaceAll('127.0.0.1:8788', `127.0.0.1:${port + 1}`)
    const [start = '', look = ''] = commandsOf('Try it').map(here)
    const [own = ''] = commandsOf('Your own source').map(here)
    // What npm would fetch is linked here.
    const [init = '', cd = '', installed = '', dev = ''] = start.split('\n').map((line) => line.replace(/ +#.*$/, ''))
    expect([init, cd, installed, dev]).toEqual([
      'npx target-relay init my-relay',
      'cd my-relay',
      'npm install',
      'npx target-relay dev',
    ])
    await run('sh', ['-c', init], { cwd: empty, env: environment() })
    const folder = join(empty, 'my-relay')
    install(packed, folder)

    await using running = runningCommand(['sh', '-c', `exec ${dev} --port ${port}`], folder, environment())
    await running.until(/# source call-centre[\s\S]*profile\?visitor/)
    const inFolder = { cwd: folder, env: environment({ RELAY_URL: `http://127.0.0.1:${port}` }) }
    const looked = await run('sh', ['-ec', look], inFolder)
    expect(looked.stdout).toContain('"status":"submitted"')
    expect(looked.stdout).toContain('{"lastCallOutcome":"resolved"}')
    expect(looked.stdout).toMatch(/^quota +1 of 999,000/m)
    expect(looked.stdout).toMatch(/lastCallOutcome +there +"resolved"/)

    // A source of one's own, while it runs.
    const [, code = ''] =
      /## Your own source\n[\s\S]*?```ts\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8')) ?? []
    const file = join(folder, 'src/sources.ts')
    const before = readFileSync(file, 'utf8')
    const imported = before.replace('import { eventTime,', 'import { stripe, eventTime,')
    writeFileSync(file, imported.replace(/^\]$/m, `${code.replaceAll(/^/gm, '  ').trimEnd()},\n]`))
    await running.until(/# source sign-up/)
    const seen = await run('sh', ['-ec', own], inFolder)
    expect(seen.stdout).toContain('profile.plan=pro')
    expect(seen.stdout).toMatch(/source sign-up: stripe, HOOK_SECRET_SIGN_UP/)
    expect(seen.stdout).toContain('"status":"submitted"')
    const status = await run('npx', ['target-relay', 'status'], {
      cwd: folder,
      env: environment({
        RELAY_URL: `http://127.0.0.1:${port}`,
        ADMIN_TOKEN: 'dev-admin-token-of-this-machine',
      }),
    })
    expect(status.stdout).toMatch(/sign-up/)
    const basic = `Basic ${btoa('admin:dev-admin-token-of-this-machine')}`
    const console = await fetch(`http://127.0.0.1:${port}/admin/sources`, { headers: { authorization: basic } })
    expect([console.status, await console.text()]).toEqual([200, expect.stringMatching(/call-centre[\s\S]*sign-up/)])
    // npx itself ends by the signal, sooner than what it runs.
    await running.stop()
    for (const one of [port, port + 1]) await expect.poll(() => isFree(one), { timeout: 20_000 }).toBe(true)
    const seconds = Math.round((Date.now() - startedMs) / 1_000)
    // Typing aside.
    expect(seconds).toBeLessThan(300)
    process.stdout.write(`from an empty folder to one's own event: ${seconds} s\n`)
  })
})
