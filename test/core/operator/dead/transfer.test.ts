/** Dead letters exported and brought back (G9). */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../../../src/core/backlog/kv.ts'
import type { Backlog, DeadLetter } from '../../../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../../../src/core/backlog/sqlite.ts'
import type { DeadFilter } from '../../../../src/core/operator/dead/letters.ts'
import { createTransfer } from '../../../../src/core/operator/dead/transfer.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'
import { createHasher } from '../../../../src/core/update/hash.ts'
import { allDead, someEntry, tinyLimits } from '../../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../../support/clock.ts'
import { fakeKv } from '../../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../../support/seal.ts'

const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
const visitor = { thirdPartyId: 'visitor-1' }
const entry = someEntry({ visitor, visitorHash: await hasher.visitor(visitor) })
const clock = fakeClock()
const randomHex = seededRandom(8).hex
const transferOf = (backlog: Backlog, maxOperations = 900) =>
  createTransfer({ backlog, clock, maxOperations, limits: tinyLimits, hashOf: hasher.visitor })
const stores: [string, () => Promise<Backlog>][] = [
  [
    'SQLite',
    async () =>
      sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, seal: plainSeal, limits: tinyLimits }),
  ],
  [
    'KV, sealed',
    async () => kvBacklog(fakeKv({ now: clock.now }), { randomHex, seal: await sealWith('k'), limits: tinyLimits }),
  ],
]
const dead = (n: number): DeadLetter => ({
  ...{ source: n % 2 === 0 ? 'api' : 'loan', atMs: 1_000 + n, firstSeenMs: n, attempts: n },
  ...(n % 3 === 0
    ? { reason: 'unmappable', raw: '{"a":"line\nfeed"}', eventId: `e${n}` }
    : { reason: 'rejected', entry, detail: 'no' }),
})

describe.each(stores)('on %s', (_, make) => {
  const exported = async (backlog: Backlog, filter: DeadFilter, maxOperations = 900) => {
    const lines: string[] = []
    for (let cursor: string | undefined; ; ) {
      for await (const line of transferOf(backlog, maxOperations).exportLines(filter, cursor)) lines.push(line)
      const last = JSON.parse(lines.pop() ?? '') as { cursor?: string; complete?: true }
      if (last.complete === true) return lines
      cursor = last.cursor ?? expect.fail('says neither that it is whole nor where it goes on')
    }
  }

  it('what was exported and dropped comes back whole, once, however often it is imported', async () => {
    const backlog = await make()
    for (let n = 0; n < 9; n++) await backlog.bury(dead(n))
    const before = await allDead(backlog)
    const lines = await exported(backlog, {}, 1)
    expect(lines).toHaveLength(9)
    for (const { key } of before) await backlog.delete(key)
    await clock.advance(2_000)
    for (const line of lines) expect(await transferOf(backlog).importLine(line)).toBe('kept')
    await clock.advance(2_000)
    for (const line of lines) expect(await transferOf(backlog).importLine(line)).toBe('kept')
    expect(await allDead(backlog)).toEqual(before)
    expect(await exported(backlog, { source: 'loan' })).toHaveLength(4)
  })

  it.each([
    ['{"complete":true}', 'other'],
    ['not JSON', 'unreadable'],
    ['{"key":"d1/1","letter":{}}', 'unreadable'],
  ])('the line %s is %s', async (line, what) => {
    const backlog = await make()
    expect(await transferOf(backlog).importLine(line)).toBe(what)
    expect(await allDead(backlog)).toEqual([])
  })

  it('a letter whose visitor has another hash here is not taken in', async () => {
    const backlog = await make()
    await backlog.bury(dead(1))
    const [line = ''] = await exported(backlog, {})
    const elsewhere = await make()
    expect(await transferOf(elsewhere).importLine(line.replace('visitor-1', 'visitor-2'))).toBe('foreign')
    expect(await allDead(elsewhere)).toEqual([])
  })
})
