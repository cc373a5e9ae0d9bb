/**
 * Bundles the Worker as a deploy would, without deploying: every environment must have its bindings, and the bundle its
 * size budget. All authentication schemes together have a budget of their own, and the signature schemes depend on no package.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

/** The platform's limit is far away (3 MB gzipped on the Free plan): this budget notices a dependency that creeps in. */
const maxMinifiedBytes = 668_000
const maxGzippedBytes = 207_600
/** Of `src/edge/auth`, with every preset. */
const maxProofGzippedBytes = 15_000
const environments = ['', 'staging', 'production']
const bindings = ['env.BACKLOG', 'env.LEDGER']

const problems: string[] = []
for (const environment of environments) {
  const outdir = mkdtempSync(join(tmpdir(), 'target-relay-bundle-'))
  try {
    const output = execFileSync(
      'wrangler',
      ['deploy', '--dry-run', '--minify', '--outdir', outdir, '--env', environment],
      {
        encoding: 'utf8',
        env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
      },
    )
    const name = environment === '' ? 'default' : environment
    for (const binding of bindings)
      if (!output.includes(binding)) problems.push(`environment ${name}: no binding ${binding}`)
    const files = readdirSync(outdir).filter((file) => file.endsWith('.js'))
    const code = Buffer.concat(files.map((file) => readFileSync(join(outdir, file))))
    const gzipped = gzipSync(code, { level: 9 }).byteLength
    console.log(
      `${name}: ${code.byteLength} bytes minified, ${gzipped} gzipped (budget ${maxMinifiedBytes}, ${maxGzippedBytes})`,
    )
    if (code.byteLength === 0) problems.push(`environment ${name}: no code in the bundle`)
    if (code.byteLength > maxMinifiedBytes || gzipped > maxGzippedBytes)
      problems.push(`environment ${name}: the bundle is over its budget`)
  } finally {
    rmSync(outdir, { recursive: true, force: true })
  }
}
const gzippedProof = await bundleOf('src/edge/auth/index.ts')
console.log(`all authentication schemes: ${gzippedProof.bytes} gzipped (budget ${maxProofGzippedBytes})`)
if (gzippedProof.bytes > maxProofGzippedBytes) problems.push('the authentication schemes are over their budget')
const signatures = await bundleOf('src/edge/auth/presets.ts')
if (signatures.packages.length > 0) problems.push(`signatures depend on ${signatures.packages.join(', ')}`)

const { sources: inWorker } = await bundleOf('src/worker.ts')
for (const path of inWorker.filter((one) => /^src\/(cli|dev|emulator|plan|server)\//.test(one)))
  problems.push(`the Worker contains ${path}`)

for (const line of problems) console.error(line)
process.exitCode = problems.length === 0 ? 0 : 1

async function bundleOf(
  entry: string,
): Promise<{ bytes: number; packages: readonly string[]; sources: readonly string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
    metafile: true,
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:workers', 'node:*'],
  })
  const inputs = Object.keys(metafile.inputs)
  return {
    bytes: gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).byteLength,
    packages: inputs.filter((path) => path.includes('node_modules')),
    sources: inputs.filter((path) => !path.includes('node_modules')),
  }
}
