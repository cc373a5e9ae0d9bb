/**
 * Bundles the Worker as a deploy would, without deploying: every environment must have its bindings, and the bundle its
 * size budget.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const maxMinifiedBytes = 400_000
const maxGzippedBytes = 100_000
const environments = ['', 'staging', 'production']
const bindings = ['env.BACKLOG', 'env.LEDGER']

const problems: string[] = []
for (const environment of environments) {
  const outdir = mkdtempSync(join(tmpdir(), 'target-relay-bundle-'))
  try {
    const output = execFileSync('wrangler', ['deploy', '--dry-run', '--minify', '--outdir', outdir, '--env', environment], {
      encoding: 'utf8',
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
    })
    const name = environment === '' ? 'default' : environment
    for (const binding of bindings) if (!output.includes(binding)) problems.push(`environment ${name}: no binding ${binding}`)
    const files = readdirSync(outdir).filter((file) => file.endsWith('.js'))
    const code = Buffer.concat(files.map((file) => readFileSync(join(outdir, file))))
    const gzipped = gzipSync(code, { level: 9 }).byteLength
    console.log(`${name}: ${code.byteLength} bytes minified, ${gzipped} gzipped (budget ${maxMinifiedBytes}, ${maxGzippedBytes})`)
    if (code.byteLength === 0) problems.push(`environment ${name}: no code in the bundle`)
    if (code.byteLength > maxMinifiedBytes || gzipped > maxGzippedBytes) problems.push(`environment ${name}: the bundle is over its budget`)
  } finally {
    rmSync(outdir, { recursive: true, force: true })
  }
}
for (const line of problems) console.error(line)
process.exitCode = problems.length === 0 ? 0 : 1
