/**
 * `npm run mutants [-- --write] [--seeds N] [text …]`: applies each deliberate bug to a copy of the tree, and runs the tests
 * that must notice it and the simulator. Exit 1 if one survives both, or if a patch no longer fits. With texts, only the
 * mutants whose names contain one; with `--write`, all, and `docs/guarantees.md` is generated from what noticed them.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { mutants } from './mutants/list.ts'
import type { Mutant } from './mutants/mutant.ts'
import { guaranteesPage, type Judged } from './mutants/page.ts'

const { values, positionals: texts } = parseArgs({
  options: { write: { type: 'boolean', default: false }, seeds: { type: 'string', default: '300' } },
  allowPositionals: true,
})
const root = fileURLToPath(new URL('..', import.meta.url))
const left = new Set(['node_modules', '.git', '.wrangler', 'dist'])
const chosen = mutants.filter(
  ({ name }) => values.write || texts.length === 0 || texts.some((text) => name.includes(text)),
)
/** After this many seeds the simulator counts as not noticing a mutant. */
const seeds = Number(values.seeds)
/** A mutant's tests may never end. */
const longestMs = 180_000
/** For all tests together, before the first mutant. */
const longestOfAllMs = 1_200_000

/** The files that the simulator is built of: it cannot notice a bug in any other. */
const simulated = await build({
  absWorkingDir: root,
  entryPoints: ['test/sim/main.ts'],
  bundle: true,
  write: false,
  metafile: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
}).then(({ metafile }) => new Set(Object.keys(metafile.inputs)))

const folder = mkdtempSync(join(tmpdir(), 'target-relay-mutants-'))
const judged = new Map<Mutant, Judged>()
try {
  const copies = Array.from({ length: Math.min(availableParallelism(), chosen.length) }, (_, number) => copyOf(number))
  // With a test that fails anyway, every mutant would count as noticed.
  const all = [...new Set(chosen.flatMap(({ tests }) => tests))]
  const red = await firstRed(copies[0] ?? root, all, longestOfAllMs)
  if (red !== undefined) throw new Error(`fails without a mutant: ${red}`)
  const queue = [...chosen]
  await Promise.all(
    copies.map(async (copy) => {
      for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
        const result = await judge(copy, mutant)
        judged.set(mutant, result)
        console.log(`${mutant.breaks.padEnd(8)}  ${told(result)}  ${mutant.name}`)
      }
    }),
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const survivors = chosen.filter((mutant) => {
  const result = judged.get(mutant)
  return result?.test === undefined && result?.seed === undefined
})
console.log(`${chosen.length - survivors.length} of ${chosen.length} mutants noticed`)
process.exitCode = survivors.length === 0 && chosen.length > 0 ? 0 : 1
if (values.write && survivors.length === 0) {
  const listed = JSON.parse((await run(root, 'vitest', ['list', '--json', '--no-static-parse'])).output) as {
    name: string
    file: string
  }[]
  const tests = listed.map(({ name, file }) => ({ name, file: file.slice(root.length) }))
  const rows = chosen.map((mutant) => ({ ...mutant, ...(judged.get(mutant) ?? { fits: false }) }))
  writeFileSync(join(root, 'docs/guarantees.md'), guaranteesPage(tests, rows, seeds))
}

async function judge(copy: string, { file, find, replace, tests }: Mutant): Promise<Judged> {
  const path = join(copy, file)
  const before = readFileSync(path, 'utf8')
  if (before.split(find).length !== 2) return { fits: false }
  writeFileSync(
    path,
    before.replace(find, () => replace),
  )
  try {
    const test = await firstRed(copy, tests)
    const sim = simulated.has(file)
      ? await run(copy, 'node', ['test/sim/main.ts', '--from', '1', '--seeds', String(seeds), '--until-broken'])
      : undefined
    const seed = /^seed (\d+): (.*)$/m.exec(sim?.output ?? '')
    return {
      fits: true,
      ...(test === undefined ? {} : { test }),
      ...(seed === null ? {} : { seed: Number(seed[1]), violation: seed[2] ?? '' }),
    }
  } finally {
    writeFileSync(path, before)
  }
}

function told({ fits, test, seed }: Judged): string {
  if (!fits) return 'DOES NOT FIT   '
  if (test === undefined && seed === undefined) return 'SURVIVED       '
  return `${test === undefined ? '    ' : 'test'} ${seed === undefined ? '        ' : `seed ${String(seed).padEnd(3)}`}  `
}

function copyOf(number: number): string {
  const copy = join(folder, String(number))
  cpSync(root, copy, { recursive: true, filter: (path) => !left.has(basename(path)) })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** The name of the first test that fails; a run that fails in another way counts too. */
async function firstRed(copy: string, tests: readonly string[], endMs = longestMs): Promise<string | undefined> {
  const file = join(copy, 'tests.json')
  rmSync(file, { force: true })
  const parts = ['run', '--bail', '1', '--testTimeout', '20000', '--reporter', 'json', '--outputFile', file]
  const { status } = await run(copy, 'vitest', [...parts, ...tests], endMs)
  if (status === 0) return undefined
  try {
    const result = JSON.parse(readFileSync(file, 'utf8')) as {
      testResults: { assertionResults: { status: string; fullName: string }[] }[]
    }
    const red = result.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .find(({ status: is }) => is === 'failed')
    return red?.fullName ?? 'does not start'
  } catch {
    return status === undefined ? 'does not end' : 'does not start'
  }
}

/** `status` is undefined if the run had to be killed. */
function run(
  cwd: string,
  command: string,
  parts: readonly string[],
  endMs = longestMs,
): Promise<{ status: number | undefined; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, parts, { cwd, stdio: ['ignore', 'pipe', 'ignore'], detached: true })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    // With its child processes.
    const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), endMs)
    child.once('error', reject).once('close', (code) => {
      clearTimeout(timer)
      resolve({ status: code ?? undefined, output })
    })
  })
}
