/**
 * `npm run bench`: encoding, admission and merge at 1, 10, 100 and 1,000 attributes or entries. Times on shared machines
 * are noise; what matters is how they grow from size to size in one run. Linear growth is about 10 a step.
 */
import { DatabaseSync } from 'node:sqlite'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { encodeCalls } from '../../src/core/wire/calls.ts'
import { mergeNewest } from '../../src/cron/merge.ts'
import { seededRandom } from '../support/clock.ts'
import { sqlWatched } from '../support/ledger.ts'

const sizes = [1, 10, 100, 1_000]
const startMs = 1_790_000_000_000
const random = seededRandom(1)
const attributes = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ name: `attribute-${n}`, value: `a value & more, ${n} €` }))
const stamp = (n: number) => makeStamp(startMs + n, startMs, random.hex(8))
const ledger = sqlWatched(
  nodeSqlite(new DatabaseSync(':memory:')),
  {
    quotaLimit: 1e9,
    quotaWindowMs: 86_400_000,
    quotaBucketMs: 60_000,
    quotaSlackMs: 15_000,
    replayReserve: 0,
    pace: 'none',
    retentionMs: 1e8,
    inFlightMs: 0,
    longestInFlightMs: 0,
  },
  { now: () => startMs },
)
const admission = (count: number) => ({
  visitorHash: random.hex(16),
  attributes: attributes(count).map(({ name }) => ({ name, stamp: stamp(0) })),
  units: 1,
  token: random.hex(12),
})

const work: Record<string, (size: number) => () => unknown> = {
  'codec, attributes': (size) => {
    const given = attributes(size)
    return () =>
      encodeCalls({ thirdPartyId: '123456' }, given, {
        method: 'post',
        origin: 'https://demo.tt.omtrdc.net',
        clientCode: 'demo',
      })
  },
  'merge, entries of one visitor': (size) => {
    const updates = Array.from({ length: size }, (_, n) => ({ stamp: stamp(n), attributes: attributes(5) }))
    return () => mergeNewest(updates)
  },
  'admission, attributes': (size) => () => ledger.admit([admission(size)], 'replay'),
  'admission, updates': (size) => async () => {
    for (let start = 0; start < size; start += 100)
      await ledger.admit(
        Array.from({ length: Math.min(100, size - start) }, () => admission(5)),
        'replay',
      )
  },
}

/** The median time of one call, in microseconds, over at least five calls and 150 ms. */
async function median(go: () => unknown): Promise<number> {
  const times: number[] = []
  const untilMs = performance.now() + 150
  for (let round = 0; round < 5 || performance.now() < untilMs; round++) {
    const start = performance.now()
    await go()
    times.push((performance.now() - start) * 1_000)
  }
  return times.sort((a, b) => a - b)[times.length >> 1] ?? 0
}

for (const [name, make] of Object.entries(work)) {
  const times: number[] = []
  for (const size of sizes) times.push(await median(make(size)))
  const growth = times.slice(1).map((time, index) => `x${(time / (times[index] ?? time)).toFixed(1)}`)
  console.log(
    `${name.padEnd(32)} ${sizes.map((size, index) => `${size}: ${(times[index] ?? 0).toFixed(0)} us`).join('   ')}   growth ${growth.join(', ')}`,
  )
}
