/**
 * `npm run mutation [-- text …]`: StrykerJS over the pure files, each against its own tests only, so that a rule is tested
 * where it is written and not by chance somewhere else. Prints the score and the survivors of each file; exit 1 if a
 * score is under 90 %. With texts, only the files whose paths contain one.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'

/** Each pure file, and its own tests. */
const measured: Readonly<Record<string, readonly string[]>> = {
  'src/core/wire/calls.ts': ['test/core/wire/calls.test.ts'],
  'src/core/wire/answer.ts': ['test/core/wire/answer.test.ts'],
  'src/core/json.ts': ['test/core/json.test.ts'],
  'src/core/time.ts': ['test/core/time.test.ts'],
  'src/core/update/validate.ts': ['test/core/update/validate.test.ts'],
  'src/core/update/stamp.ts': ['test/core/update/stamp.test.ts'],
  'src/cron/merge.ts': ['test/cron/merge.test.ts'],
  'src/core/delivery/backoff.ts': ['test/core/delivery/backoff.test.ts'],
  'src/core/ledger/rules/register.ts': ['test/core/ledger/rules/register.test.ts'],
  'src/core/ledger/rules/event.ts': ['test/core/ledger/rules/register.test.ts'],
  'src/core/ledger/rules/health.ts': ['test/core/ledger/rules/health.test.ts'],
  'src/core/ledger/rules/denials.ts': ['test/core/ledger/rules/denials.test.ts'],
  'src/core/ledger/sql/window.ts': ['test/core/ledger/sql/window.test.ts'],
  'src/cron/ring.ts': ['test/cron/ring.test.ts'],
  'src/edge/auth/signature.ts': ['test/edge/auth/signature.test.ts'],
}
const leastPercent = 90

interface Mutation {
  readonly status:
    | 'Killed'
    | 'Survived'
    | 'Timeout'
    | 'NoCoverage'
    | 'CompileError'
    | 'RuntimeError'
    | 'Ignored'
    | 'Pending'
  readonly replacement?: string
  readonly location: { readonly start: Place; readonly end: Place }
}
interface Place {
  readonly line: number
  readonly column: number
}

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}.mutation`
const texts = process.argv.slice(2)
const chosen = Object.entries(measured).filter(
  ([file]) => texts.length === 0 || texts.some((text) => file.includes(text)),
)
rmSync(folder, { recursive: true, force: true })
const scores = chosen.map(([file, tests]) => measure(file, tests))
const worst = Math.min(...scores)
console.log(`${chosen.length} files, the lowest score is ${worst.toFixed(1)} %`)
process.exitCode = worst >= leastPercent ? 0 : 1

/** Percent of a file's mutants that its tests noticed, not counting those that do not load. */
function measure(file: string, tests: readonly string[]): number {
  const { status } = spawnSync('stryker', ['run', 'stryker.config.json', '--mutate', file], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, MUTATION_TESTS: tests.join(' ') },
  })
  if (status !== 0) {
    console.log(`${file}: the run failed; "MUTATION_TESTS='${tests.join(' ')}' stryker run --mutate ${file}" tells why`)
    return 0
  }
  const { files } = JSON.parse(readFileSync(`${folder}/report.json`, 'utf8')) as {
    files: Record<string, { source: string; mutants: Mutation[] }>
  }
  const { source, mutants } = files[file] ?? { source: '', mutants: [] }
  const count = (...kinds: Mutation['status'][]) => mutants.filter((mutant) => kinds.includes(mutant.status)).length
  const noticed = count('Killed', 'Timeout')
  const all = noticed + count('Survived', 'NoCoverage')
  const score = all === 0 ? 0 : (100 * noticed) / all
  console.log(`${file}: ${score.toFixed(1)} % (${noticed} of ${all})`)
  const lines = source.split('\n')
  for (const mutant of mutants.filter((one) => one.status === 'Survived' || one.status === 'NoCoverage')) {
    const { start, end } = mutant.location
    const first = lines[start.line - 1] ?? ''
    const was =
      start.line === end.line ? first.slice(start.column - 1, end.column - 1) : `${first.slice(start.column - 1)} …`
    console.log(
      `  ${start.line}:${start.column} ${mutant.status === 'NoCoverage' ? '(no test) ' : ''}${was} -> ${mutant.replacement ?? ''}`,
    )
  }
  return score
}
