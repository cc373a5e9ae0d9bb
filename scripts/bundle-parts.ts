/**
 * `npm run bundle:parts`: what each part of the Worker's bundle takes. A part's size is what the gzipped bundle would be
 * smaller without it, so that the parts together are less than the whole: what compresses with its neighbours counts for
 * neither. Built without shortening names across files, which makes the sum larger than what is deployed.
 */
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const { outputFiles } = await build({
  entryPoints: ['src/worker.ts'],
  bundle: true,
  // White space stays, since the comments that name each file go with it.
  minifyIdentifiers: true,
  minifySyntax: true,
  format: 'esm',
  write: false,
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:workers', 'node:*'],
  alias: { '@upstash/core-analytics': './src/workers/no-analytics.ts' },
})
const parts = new Map<string, string>()
const [, ...files] = (outputFiles[0]?.text ?? '').split(/^\/\/ ((?:src|node_modules)\/\S+)$/m)
for (let at = 0; at < files.length; at += 2) {
  const part = partOf(files[at] ?? '')
  parts.set(part, (parts.get(part) ?? '') + (files[at + 1] ?? '').replace(/^\s+/gm, ''))
}
const whole = gzipped([...parts.keys()])
const rows = [...parts.keys()].map((part) => ({
  part,
  gzipped: whole - gzipped([...parts.keys()].filter((other) => other !== part)),
  bytes: parts.get(part)?.length ?? 0,
}))
for (const { part, gzipped: size, bytes } of rows.sort((a, b) => b.gzipped - a.gzipped))
  console.log(`${String(size).padStart(8)} gzipped ${String(bytes).padStart(8)} bytes  ${part}`)
console.log(`${String(whole).padStart(8)} gzipped in all`)

/** A package, or a folder of src two levels down. */
function partOf(file: string): string {
  const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? []
  return name ?? file.split('/').slice(0, 3).join('/')
}

function gzipped(names: readonly string[]): number {
  return gzipSync(names.map((name) => parts.get(name) ?? '').join(''), { level: 9 }).byteLength
}
