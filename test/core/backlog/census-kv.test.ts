/** The census on real Workers KV: some thousand entries in workerd, against a plain oracle (G9). */
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, expect, it } from 'vitest'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import { defaultLimits } from '../../../src/core/limits.ts'
import { censusMemo, figuresOf, readCensus } from '../../../src/core/operator/census.ts'
import type { Kv } from '../../../src/core/store/kv.ts'
import { createCensus } from '../../../src/cron/census.ts'
import { emptyReport } from '../../../src/cron/report.ts'
import { someEntry } from '../../contract/backlog.ts'
import { seededRandom } from '../../support/clock.ts'
import { sealWith } from '../../support/seal.ts'
import { mergedCalls, plainTally } from '../../support/tally.ts'

const entriesWaiting = 3_500
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: 'export default { fetch: () => new Response() }',
    kvNamespaces: ['BACKLOG'],
    cf: false,
  }),
)
afterAll(() => miniflare.dispose())

it('counts thousands of sealed entries by their heads, a list for each thousand, and without reading one', async () => {
  const random = seededRandom(17)
  const kv = (await miniflare.getKVNamespace('BACKLOG')) as unknown as Kv
  let reads = 0
  const noting: Kv = {
    put: (...asked) => kv.put(...asked),
    list: (...asked) => kv.list(...asked),
    delete: (...asked) => kv.delete(...asked),
    get: (...asked) => {
      reads++
      return kv.get(...asked)
    },
  }
  const backlog = kvBacklog(noting, { randomHex: random.hex, seal: await sealWith('k1') })
  const visitors = Array.from({ length: entriesWaiting / 2 }, () => random.hex(16))
  const entries = Array.from({ length: entriesWaiting }, (_, n) =>
    someEntry({
      visitorHash: visitors[Math.floor(random.fraction() * visitors.length)] ?? '',
      source: n % 3 === 0 ? 'shop' : 'crm',
      reason: n % 7 === 0 ? 'paused' : 'quota',
      attributes: [{ name: 'tier', value: 'x'.repeat(n % 10 === 0 ? 2_000 : 20) }],
    }),
  )
  for (let start = 0; start < entries.length; start += 50)
    await Promise.all(entries.slice(start, start + 50).map((entry) => backlog.put(entry)))
  for (const reason of ['rejected', 'expired'] as const)
    await backlog.bury({ reason, source: 'shop', atMs: 1, firstSeenMs: 1, attempts: 1, raw: 'x' })
  const memos = new Map<string, string>()
  const { duty } = createCensus({
    backlog,
    ledger: {
      recall: async (name) => memos.get(name),
      remember: async (name, text) => void memos.set(name, text),
    },
    clock: { now: () => Date.now() },
    limits: defaultLimits,
    memory: {},
  })
  const before = backlog.operations
  await duty.work({ has: () => true }, { ...emptyReport(), read: 1 })
  const census = readCensus(memos.get(censusMemo))
  expect(figuresOf(census, 'post')).toMatchObject({
    ...plainTally(entries),
    calls: mergedCalls(entries, 'post'),
    callsExact: true,
    complete: true,
  })
  expect(census.dead).toMatchObject({ byReason: { rejected: 1, expired: 1 }, bySource: { shop: 2 } })
  expect(reads).toBe(0)
  // Four pages of entries, and one of each format of dead letters' keys.
  expect(backlog.operations - before).toBe(6)
}, 120_000)
