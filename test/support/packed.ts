/** The package as `npm pack` makes it, and projects that have it installed, with the dependencies of this clone. */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Neither of the package nor of what builds it. */
const left = /^(node_modules|dist|test|\.git|\.wrangler|\.target-relay|\.mutation|\.vitest)$/

export interface Packed {
  /** The path of the file. */
  readonly file: string
  readonly files: readonly { readonly path: string }[]
  readonly unpackedSize: number
}

/** Built in a copy, so that several tests may do it at once. */
export function pack(): Packed {
  const copy = mkdtempSync(join(tmpdir(), 'target-relay-pack-'))
  for (const entry of readdirSync(root).filter((one) => !left.test(one)))
    cpSync(join(root, entry), join(copy, entry), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json'], { cwd: copy, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  ) as [{ filename: string } & Omit<Packed, 'file'>]
  return { ...packed, file: join(copy, packed.filename) }
}

/**
 * `npm install` without a registry: the packed file in `node_modules`, and beside it what this clone has.
 *
 * @param folder the one that holds `node_modules`
 */
export function install({ file }: Pick<Packed, 'file'>, folder: string): void {
  const modules = join(folder, 'node_modules')
  const own = join(modules, 'target-relay')
  mkdirSync(own, { recursive: true })
  execFileSync('tar', ['-xzf', file, '--strip-components=1', '-C', own])
  const bin = join(own, 'dist/cli/bin.js')
  chmodSync(bin, 0o755)
  for (const entry of readdirSync(join(root, 'node_modules')).filter((one) => !one.startsWith('.')))
    symlinkSync(join(root, 'node_modules', entry), join(modules, entry))
  mkdirSync(join(modules, '.bin'))
  symlinkSync(bin, join(modules, '.bin/target-relay'))
  for (const name of ['wrangler', 'tsc', 'node'])
    symlinkSync(join(root, 'node_modules/.bin', name), join(modules, '.bin', name))
}

/** What the project asks npm for. */
export function dependenciesOf(folder: string): Readonly<Record<string, string>> {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
    devDependencies: Record<string, string>
  }
  return { ...dependencies, ...devDependencies }
}
