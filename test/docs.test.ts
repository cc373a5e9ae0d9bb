/** The documentation names what there is. */
import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import * as presets from '../src/edge/auth/presets.ts'
import { authFailures } from '../src/edge/auth/scheme.ts'
import { problemStatus, problemTypes } from '../src/edge/http/problem.ts'
import { startEmulator } from './emulator/emulator.ts'
import { startServer } from './support/server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = (path: string) => readFileSync(join(root, path), 'utf8')
/** The cells of a page's tables, row by row. */
const cells = (text: string) =>
  [...text.matchAll(/^\| (.+) \|$/gm)].map(([, row = '']) => row.split(' | ').map((cell) => cell.trim()))

describe('docs/http.md', () => {
  const [, problems = '', unproven = ''] = page('docs/http.md').split(/^## (?:Problems|Unproven)$/m)

  it('has every problem with its status, a cause and what to do, and none else', () => {
    const rows = cells(problems).filter(([name]) => name?.startsWith('`'))
    expect(rows.map(([name, status]) => [name, status]).sort()).toEqual(
      problemTypes.map((type) => [`\`${type}\``, String(problemStatus(type))]).sort(),
    )
    for (const [name, , cause = '', cure = ''] of rows)
      expect([name, cause.length > 20, cure.length > 10]).toEqual([name, true, true])
  })

  it('has every reason of a failed proof', () => {
    const rows = cells(unproven).filter(([name]) => name?.startsWith('`'))
    expect(rows.map(([name]) => name).sort()).toEqual(authFailures.map((why) => `\`${why}\``).sort())
  })
})

describe('what the package brings', () => {
  const { files } = JSON.parse(page('package.json')) as { files: string[] }
  const left = files.filter((one) => one.startsWith('!')).map((one) => one.slice(1))
  const packed = [
    'README.md',
    'LICENSE',
    ...files.filter((one) => !one.startsWith('!')).flatMap((one) => globSync(one, { cwd: root })),
  ].filter((one) => !left.includes(one))
  /** As GitHub and npm name a heading. */
  const anchorsOf = (text: string) =>
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    )

  it.each(packed.filter((one) => one.endsWith('.md')))('%s links to nothing that it lacks', (file) => {
    const links = [
      ...page(file)
        .replace(/```[\s\S]*?```/g, '')
        .matchAll(/\]\(([^)\s]+)\)/g),
    ].map(([, link = '']) => link)
    const dead = links
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [path = '', anchor] = link.split('#')
        const target = path === '' ? file : normalize(join(dirname(file), path))
        const isPacked = packed.some((one) => target === one || target.startsWith(`${one}/`))
        return (
          !isPacked ||
          !existsSync(join(root, target)) ||
          (anchor !== undefined && !anchorsOf(page(target)).includes(anchor))
        )
      })
    expect(dead).toEqual([])
  })

  it('the Kubernetes example asks /readyz, and longer than a silent ledger takes', () => {
    const [, path = '', seconds = ''] =
      /readinessProbe:\s+httpGet: \{ path: (\S+), port: 8787 \}\s+timeoutSeconds: (\d+)/.exec(
        page('docs/examples/kubernetes.yaml'),
      ) ?? []
    const ledgerMs = Number(/^\| `LEDGER_TIMEOUT_MS` +\| (\d+)/m.exec(page('README.md'))?.[1])
    expect([path, Number(seconds) * 1_000 > 2 * ledgerMs]).toEqual(['/readyz', true])
  })

  it('what is signed by hand is taken with the settings of `npm run dev`, each time anew', async () => {
    const [, block = ''] = /## Signing by hand[\s\S]*?```sh\n([\s\S]*?)```/.exec(page('docs/sources.md')) ?? []
    const secret = /HOOK_SECRET_LOAN: '([^']+)'/.exec(page('scripts/dev.ts'))?.[1] ?? ''
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin, { settings: { HOOK_SECRET_LOAN: secret } })
    const script = block.replace('http://127.0.0.1:8787', server.url)
    const { stdout } = await promisify(execFile)('sh', ['-c', script])
    expect(JSON.parse(stdout)).toMatchObject({ status: 'submitted' })
  })

  it('the line to try of the README has the token of `npm run dev`', () => {
    const token = /apiToken = '([^']+)'/.exec(page('scripts/dev.ts'))?.[1] ?? ''
    expect(page('README.md')).toContain(`Bearer ${token}'`)
  })
})

describe('docs/sources.md', () => {
  const rows = page('docs/sources.md').split('\n')
  it.each(Object.entries(presets).map(([name, preset]) => [name, preset] as const))(
    'has a row for %s that says the truth',
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
  const readme = page('README.md')
  const settings = [...page('src/relay/settings-table.ts').matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(
    ([, name = '']) => name,
  )
  it.each(settings)('names the setting %s', (name) => {
    expect(readme).toContain(`\`${name}\``)
  })

  it.each(['serve', 'flush', 'map', 'lint', 'send', 'verify', 'status', 'ledger'])('names the command %s', (name) => {
    expect(readme).toMatch(new RegExp(`^\\| \`${name}\\b`, 'm'))
  })
})
