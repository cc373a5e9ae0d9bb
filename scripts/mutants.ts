/**
 * `npm run mutants [-- text …]`: applies each deliberate bug to a copy of the tree and runs the tests that must notice.
 * Exit 1 where one survives, or where a patch no longer fits. With texts, only the mutants whose names hold one.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { mutants } from './mutants/list.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const left = new Set(['node_modules', '.git', '.wrangler', 'dist'])
const texts = process.argv.slice(2)
const chosen = mutants.filter(({ name }) => texts.length === 0 || texts.some((text) => name.includes(text)))

const copy = mkdtempSync(join(tmpdir(), 'target-relay-mutants-'))
let survivors = 0
try {
  cpSync(root, copy, { recursive: true, filter: (path) => !left.has(basename(path)) })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  // A test that is red without a mutant would count every one as noticed.
  const all = [...new Set(chosen.flatMap(({ tests }) => tests))]
  if (red(all)) throw new Error('the tests are red without a mutant')
  for (const { name, breaks, file, find, replace, tests } of chosen) {
    const path = join(copy, file)
    const before = readFileSync(path, 'utf8')
    if (before.split(find).length !== 2) {
      survivors++
      console.log(`${breaks}  DOES NOT FIT  ${name} (${file})`)
      continue
    }
    writeFileSync(
      path,
      before.replace(find, () => replace),
    )
    const noticed = red(tests)
    writeFileSync(path, before)
    if (!noticed) survivors++
    console.log(`${breaks}  ${noticed ? 'noticed ' : 'SURVIVED'}  ${name}`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`${chosen.length - survivors} of ${chosen.length} mutants noticed`)
process.exitCode = survivors === 0 && chosen.length > 0 ? 0 : 1

function red(tests: readonly string[]): boolean {
  return spawnSync('vitest', ['run', '--bail', '1', '--testTimeout', '20000', ...tests], { cwd: copy, stdio: 'ignore' }).status !== 0
}
