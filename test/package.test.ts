/** The package of `npm pack` as a user gets it: installed in an empty folder, run, compiled against, mounted. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { startEmulator } from '../src/emulator/emulator.ts'
import { type Packed, pack } from './support/packed.ts'
import { anchorsOf, ownLinks, relativeLinks } from './support/pages.ts'
import { freePort } from './support/redis.ts'
import { testSecrets } from './support/secrets.ts'
import { sendHook, signedHook } from './support/sender.ts'
import { settingsFor } from './support/settings.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'target-relay-package-'))
const bin = join(folder, 'node_modules/.bin/target-relay')
/** An environment without this machine's other settings. */
const environment = (more: Readonly<Record<string, string>> = {}) =>
  ({ PATH: process.env['PATH'] ?? '', HOME: folder, ...more }) as unknown as NodeJS.ProcessEnv
const run = promisify(execFile)
let packed: Packed

beforeAll(() => {
  packed = pack()
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  execFileSync('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', packed.file], {
    cwd: folder,
    stdio: 'ignore',
  })
}, 120_000)

describe('the package', () => {
  it('holds built code and declarations, and nothing else', () => {
    const others = packed.files.map(({ path }) => path).filter((path) => !/^dist\/.*\.(js|d\.ts)$/.test(path))
    expect(others.filter((path) => !/^(docs|templates)\//.test(path)).sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'package.json',
      // What `init` gives a project.
      'wrangler.toml',
    ])
    // The pages that the README and the commands point to are in it.
    for (const page of [
      'architecture',
      'costs',
      'deploy',
      'http',
      'library',
      'rules',
      'settings',
      'sources',
      'storage',
    ])
      expect(others).toContain(`docs/${page}.md`)
    expect(packed.unpackedSize).toBeLessThan(3_000_000)
  })

  it('names its repository', () => {
    const { repository, homepage, bugs } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      repository: { url: string }
      homepage: string
      bugs: string
    }
    expect(repository.url).toMatch(/^git\+https:\/\/github\.com\/[\w-]+\/[\w-]+\.git$/)
    const address = repository.url.slice('git+'.length, -'.git'.length)
    expect([homepage, bugs]).toEqual([`${address}#readme`, `${address}/issues`])
  })

  it('contains every page and section that its pages link to', () => {
    const paths = packed.files.map(({ path }) => path)
    const installed = (path: string) => readFileSync(join(folder, 'node_modules/target-relay', path), 'utf8')
    const pages = paths.filter((path) => path.endsWith('.md'))
    expect(pages.length).toBeGreaterThan(10)
    const dead = pages.flatMap((page) =>
      relativeLinks(installed(page), page)
        // Half a megabyte, and a terminal shows none; npm's own page takes them from the repository.
        .filter(({ path }) => !(path.startsWith('docs/pictures/') && existsSync(join(root, path))))
        .filter(({ path, anchor }) =>
          anchor === undefined
            ? !paths.some((one) => one === path || one.startsWith(`${path}/`))
            : !pages.includes(path) || !anchorsOf(installed(path)).includes(anchor),
        )
        .map(({ path, anchor = '' }) => `${page}: ${path}#${anchor}`),
    )
    expect(dead).toEqual([])
  })

  it('links to what it lacks in the repository, where it exists', () => {
    const links = packed.files
      .filter(({ path }) => path.endsWith('.md'))
      .flatMap(({ path }) => ownLinks(readFileSync(join(root, path), 'utf8')))
    expect(links.length).toBeGreaterThan(0)
    expect(links.filter(({ path }) => !existsSync(join(root, path)))).toEqual([])
  })

  it('has a working command: help, and the exact calls for an event of the user’s own source', async () => {
    expect((await run(bin, ['--help'], { env: environment() })).stdout).toMatch(
      /serve[\s\S]*flush[\s\S]*map[\s\S]*send[\s\S]*status[\s\S]*dead[\s\S]*verify/,
    )
    writeFileSync(
      join(folder, 'sources.js'),
      `import { bearer, source } from 'target-relay'
       import * as z from 'zod'
       export const sources = [source('desk', {
         auth: bearer(),
         schema: z.object({ who: z.string() }),
         map: (e) => ({ id: e.who, visitor: { thirdPartyId: e.who }, attributes: { seen: true } }),
         sample: { who: '7' },
       })]`,
    )
    const { stdout } = await run(bin, ['map', 'desk'], {
      cwd: folder,
      env: environment({ TARGET_CLIENT_CODE: 'acme' }),
    })
    expect(stdout).toContain('mbox3rdPartyId=7&profile.seen=true')
    expect((await run(bin, ['lint'], { cwd: folder, env: environment() })).stdout).toContain(
      'source desk: bearer, HOOK_SECRET_DESK, ok',
    )
  })

  it('serves, flushes and reports its status until it is asked to stop', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const port = await freePort()
    const env = environment({
      ...settingsFor(emulator.origin),
      PORT: String(port),
      RELAY_URL: `http://127.0.0.1:${port}`,
      RELAY_DB: join(folder, 'relay.sqlite'),
      HOOK_SECRET_DESK: 'a-desk-secret',
    })
    const server = spawn(bin, ['serve'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise<number | null>((resolve) => server.once('exit', resolve))
    await new Promise<void>((resolve) =>
      server.stdout.on('data', (chunk: Buffer) => String(chunk).includes('"started"') && resolve()),
    )
    const answer = await fetch(`http://127.0.0.1:${port}/hooks/desk`, {
      method: 'POST',
      headers: { authorization: 'Bearer a-desk-secret', 'content-type': 'application/json' },
      body: '{"who":"7"}',
    })
    expect(await answer.json()).toMatchObject({ status: 'submitted' })
    expect(emulator.profiles.values('3p:7')).toEqual({ seen: 'true' })
    expect(JSON.parse((await run(bin, ['flush'], { cwd: folder, env })).stdout)).toMatchObject({ stopped: 'drained' })
    expect((await run(bin, ['status'], { cwd: folder, env })).stdout).toContain('quota     1 of 999,000')
    server.kill('SIGTERM')
    expect(await ended).toBe(0)
  })
})

describe('docs/library.md', () => {
  const blocks = [...readFileSync(join(root, 'docs/library.md'), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(
    ([, code = '']) => code,
  )

  it('its examples compile against the package in a strict project', () => {
    mkdirSync(join(folder, 'src'), { recursive: true })
    const [app = '', worker = ''] = blocks
    writeFileSync(join(folder, 'src/app.ts'), app)
    writeFileSync(join(folder, 'src/worker.ts'), worker)
    writeFileSync(join(folder, 'src/sources.ts'), 'export const sources = []\n')
    // The file that `wrangler types` generates for a Worker of this name.
    copyFileSync(join(root, 'worker-configuration.d.ts'), join(folder, 'worker-configuration.d.ts'))
    const common = {
      strict: true,
      noEmit: true,
      module: 'esnext',
      moduleResolution: 'bundler',
      target: 'es2024',
      lib: ['es2024', 'esnext.disposable'],
    }
    const types = join(root, 'node_modules/@types')
    for (const [name, config] of [
      [
        'app',
        {
          compilerOptions: { ...common, skipLibCheck: true, types: ['node'], typeRoots: [types] },
          files: ['src/app.ts'],
        },
      ],
      ['worker', { compilerOptions: { ...common, types: [] }, files: ['src/worker.ts', 'worker-configuration.d.ts'] }],
    ] as const) {
      writeFileSync(join(folder, `tsconfig.${name}.json`), JSON.stringify(config))
      const compiled = () =>
        execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', `tsconfig.${name}.json`], {
          cwd: folder,
          encoding: 'utf8',
        })
      expect(compiled).not.toThrow()
    }
  }, 60_000)

  it('its app runs unchanged, with its own page and the relay mounted in it', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const port = await freePort()
    const env = environment({
      ...settingsFor(emulator.origin),
      HOOK_SECRET_SHOP: testSecrets.hook('shop'),
      PORT: String(port),
      RELAY_DB: join(folder, 'library.sqlite'),
    })
    const app = spawn('node', [join(folder, 'src/app.ts')], {
      cwd: folder,
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    try {
      const origin = `http://127.0.0.1:${port}`
      const giveUpAtMs = Date.now() + 10_000
      while (
        !(await fetch(origin).then(
          ({ ok }) => ok,
          () => false,
        )) &&
        Date.now() < giveUpAtMs
      )
        await new Promise((resolve) => setTimeout(resolve, 20))
      expect(await (await fetch(origin)).text()).toBe('my own app')
      const hook = signedHook('shop', 'm1', { order: 'o1', customer: '9', total: 12.5, at: new Date().toISOString() })
      expect(await sendHook(`${origin}/relay`, hook)).toMatchObject({
        status: 200,
        answer: { id: 'o1', status: 'submitted' },
      })
      expect(emulator.profiles.values('3p:9')).toEqual({ lastOrderTotal: '12.5' })
      expect((await fetch(`${origin}/relay/readyz`)).status).toBe(200)
      expect((await fetch(`${origin}/relay/hooks/nobody`, { method: 'POST' })).status).toBe(404)
    } finally {
      app.kill()
    }
  })
})
