/** The backlog in a Durable Object: the contract on real workerd, by RPC. */
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, describe, expect, it } from 'vitest'
import { rowsBacklog } from '../../../src/core/backlog/sqlite.ts'
import { rawCharsPerRow } from '../../../src/core/backlog/two-stores.ts'
import { defaultLimits } from '../../../src/core/limits.ts'
import { objectRows, type RowsStub } from '../../../src/workers/object-rows.ts'
import { backlogContract, tinyLimits } from '../../contract/backlog.ts'
import { seededRandom } from '../../support/clock.ts'
import { plainSeal, sealWith } from '../../support/seal.ts'

const bundled = await build({
  stdin: {
    contents: `export { BacklogObject } from './src/workers/backlog-object.ts'
      export default { fetch: () => new Response() }`,
    resolveDir: process.cwd(),
  },
  bundle: true,
  format: 'esm',
  write: false,
  external: ['cloudflare:workers'],
})
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: bundled.outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-11-17',
    durableObjects: { BACKLOG_OBJECT: { className: 'BacklogObject', useSQLite: true } },
    cf: false,
  }),
)
afterAll(() => miniflare.dispose())
const namespace = (await miniflare.getDurableObjectNamespace('BACKLOG_OBJECT')) as unknown as DurableObjectNamespace
const randomHex = seededRandom(3).hex

let used = 0
function newObject() {
  const id = namespace.idFromName(`backlog-${used++}`)
  return objectRows(() => namespace.get(id) as unknown as RowsStub)
}

for (const limits of [defaultLimits, tinyLimits]) {
  backlogContract('a Durable Object in workerd', {
    limits,
    make: async () => rowsBacklog(newObject(), { randomHex, limits, seal: plainSeal }),
  })
  backlogContract('a Durable Object in workerd, sealed', {
    limits,
    make: async () => rowsBacklog(newObject(), { randomHex, limits, seal: await sealWith('k1') }),
  })
}

describe('the rows of an object', () => {
  it.each(['ä', '"', '\u0000', '中', '😀'])(
    'hold a letter of the most characters that are kept there, made of %j, sealed (G2)',
    async (char) => {
      const backlog = rowsBacklog(newObject(), { randomHex, seal: await sealWith('k1') })
      const raw = char.repeat(Math.floor(rawCharsPerRow / char.length))
      const dead = { reason: 'unmappable' as const, source: 'shop', atMs: 1, firstSeenMs: 1, attempts: 1, raw }
      expect(await backlog.readDead(await backlog.bury(dead))).toMatchObject({ dead: { raw } })
    },
  )
})
