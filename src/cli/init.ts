/** `target-relay init`: a project of one's own, so that nobody changes sources within a clone. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { quoted } from '../dev/curl.ts'
import { secretName } from '../edge/source/check.ts'
import { type Command, exit } from './command.ts'
import { Misuse } from './errors.ts'

/** Both the package and a clone have it two folders up. */
const home = fileURLToPath(new URL('../..', import.meta.url))
const templates = join(home, 'templates/project')
const senders = join(home, 'docs/examples/senders')
/** Names that npm would leave out of a package, or read itself. */
const hidden: Readonly<Record<string, string>> = { gitignore: '.gitignore', 'dev.vars.example': '.dev.vars.example' }
/** Of a Worker: a part of its address. */
const longestName = 54

export const init: Command = {
  summary: 'write a project of your own into an empty folder',
  // Its files are read only where somebody asks.
  get usage() {
    return `target-relay init <folder> [--sender <name>]

Writes package.json, wrangler.toml with each environment, src/worker.ts, src/sources.ts, a test, .dev.vars.example,
.gitignore, tsconfig.json and README.md. --sender takes the source of a sender in place of the example:
${sendersHere().join(', ')}.
The folder must be empty, or not there. Exit 1 where it can't be written.`
  },

  async run({ args, out }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { sender: { type: 'string' } },
    })
    const [named] = positionals
    if (named === undefined || positionals.length > 1) throw new Misuse('name one folder')
    const folder = resolve(named)
    if (existsSync(folder) && readdirSync(folder).length > 0) throw new Misuse(`${named} is not empty`)
    const files = projectFiles(nameOf(folder), values.sender)
    for (const [path, text] of Object.entries(files)) {
      const file = join(folder, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text, { flag: 'wx' })
    }
    out(`${named} is a relay now: ${Object.keys(files).sort().join(', ')}. Next:\n`)
    if (folder !== process.cwd()) out(`  cd ${/^[\w./-]+$/.test(named) ? named : quoted(named)}`)
    out('  npm install\n  npx target-relay dev')
    return exit.ok
  },
}

/** The names that `--sender` takes. */
export function sendersHere(): readonly string[] {
  return readdirSync(senders)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => basename(file, '.ts'))
}

/** The text of each file of a new project, by its path. @throws Misuse for an unknown sender */
export function projectFiles(name: string, sender?: string): Readonly<Record<string, string>> {
  const template = (path: string) => readFileSync(join(templates, path), 'utf8')
  const example = sender === undefined ? undefined : senderExample(sender)
  const all = readdirSync(templates, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(templates, join(entry.parentPath, entry.name)))
  const texts = new Map(all.map((path) => [hidden[path] ?? path, template(path)]))
  // One of two, under one name.
  const samples = texts.get('test/samples.test.ts') ?? ''
  texts.delete('test/samples.test.ts')
  if (example !== undefined) {
    texts.set('test/sources.test.ts', samples)
    texts.set('src/sources.ts', example.code)
    for (const path of ['README.md', '.dev.vars.example'])
      texts.set(path, withSecretOf(texts.get(path) ?? '', example.secret))
  }
  texts.set('README.md', (texts.get('README.md') ?? '').replace('# my-relay', `# ${name}`))
  texts.set('package.json', packageJson(texts.get('package.json') ?? '', name, example?.packages ?? []))
  texts.set('wrangler.toml', wranglerToml(name))
  return Object.fromEntries(texts)
}

interface Example {
  readonly code: string
  /** The setting of its secrets; undefined where it needs none. */
  readonly secret: string | undefined
  /** What else it imports. */
  readonly packages: readonly string[]
}

function senderExample(sender: string): Example {
  if (!sendersHere().includes(sender))
    throw new Misuse(
      `there is no example of ${sender}: there are ${sendersHere().join(', ')}. For others begin without --sender, and take the preset of yours (docs/sources.md)`,
    )
  const code = readFileSync(join(senders, `${sender}.ts`), 'utf8')
  const [, variable = '', source = ''] = /^export const (\w+) = source\('([a-z0-9-]+)'/m.exec(code) ?? []
  // A sender that signs by a key of its own.
  const needsNone = /auth: (sns|adobeIo|paypal)\(|jwksUrl:|keyOf[:,]/.test(code)
  const imported = [...code.matchAll(/ from '([^'.][^']*)'/g)].map(([, name = '']) => name)
  return {
    code: `${code}\n/** Each takes webhooks at \`POST /hooks/<name>\`. */\nexport const sources = [${variable}]\n`,
    secret: needsNone ? undefined : secretName(source),
    packages: imported.filter((name) => name !== 'target-relay' && name !== 'zod'),
  }
}

/** Names the example's secret in place of the template's; drops its lines where there is none. */
function withSecretOf(text: string, secret: string | undefined): string {
  const lines = text.split('\n')
  return lines
    .filter((line) => secret !== undefined || !/HOOK_SECRET_|^# Of each source/.test(line))
    .map((line) => line.replace(/HOOK_SECRET_[A-Z_]+/, secret ?? ''))
    .join('\n')
}

interface Package {
  name: string
  version: string
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

/** The versions are those that this version of target-relay is tested with. */
function packageJson(template: string, name: string, more: readonly string[]): string {
  const own = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as Package
  const versions = { ...own.devDependencies, ...own.dependencies, [own.name]: `^${own.version}` }
  const made = JSON.parse(template) as Package
  for (const one of more) made.dependencies[one] = '*'
  for (const group of [made.dependencies, made.devDependencies])
    for (const one of Object.keys(group)) group[one] = versions[one] ?? '*'
  return `${JSON.stringify({ ...made, name }, null, 2)}\n`
}

/** The wrangler.toml of this repository, with paths into the installed package in place of its own. */
function wranglerToml(name: string): string {
  return readFileSync(join(home, 'wrangler.toml'), 'utf8')
    .replace(/^name = .*$/m, `name = "${name}"`)
    .replaceAll(/"\.\/src\/([\w/-]+)\.ts"/g, '"./node_modules/target-relay/dist/$1.js"')
}

function nameOf(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, longestName)
    .replace(/^-+|-+$/g, '')
  return name === '' ? 'my-relay' : name
}
