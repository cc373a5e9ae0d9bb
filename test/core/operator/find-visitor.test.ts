/** Where a visitor's attributes are, in registers and backlog: all names and times, but no values (G8). */
import { describe, expect, it } from 'vitest'
import type { Entry, KeptEntry, Unreadable } from '../../../src/core/backlog/port.ts'
import type { KnownAttribute } from '../../../src/core/ledger/port.ts'
import { createFind } from '../../../src/core/operator/find-visitor.ts'
import { createHasher } from '../../../src/core/update/hash.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { fakeClock } from '../../support/clock.ts'

const visitor = { thirdPartyId: '42' }
const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
const visitorHash = await hasher.visitor(visitor)
const at = (second: number) => makeStamp(1_000 * second, 1_000 * second, '0123456789abcdef')
const iso = (second: number) => new Date(1_000 * second).toISOString()
const entry = (second: number, names: readonly string[], more: Partial<Entry> = {}): KeptEntry => ({
  key: `b1/${second}`,
  entry: {
    visitor,
    visitorHash,
    attributes: names.map((name) => ({ name, value: 'a value' })),
    stamp: at(second),
    source: 'api',
    firstSeenMs: 1_000 * second,
    ...more,
  },
})

function find(known: readonly KnownAttribute[], pages: readonly (readonly (KeptEntry | Unreadable)[])[]) {
  const asked: unknown[] = []
  const where = createFind({
    hasher,
    ledger: { visitor: async (hash) => (hash === visitorHash ? known : []) },
    backlog: {
      operations: 0,
      list: async ({ prefix = '', cursor } = {}) => {
        asked.push([prefix, cursor])
        const page = Number(cursor ?? 0)
        return { items: pages[page] ?? [], ...(page + 1 < pages.length ? { cursor: String(page + 1) } : {}) }
      },
    },
    clock: fakeClock(),
    maxOperations: 900,
  })
  return { asked, where: () => where(visitor) }
}

describe('finding a visitor', () => {
  it('shows nothing of an unknown visitor', async () => {
    expect(await find([], []).where()).toEqual({ attributes: [], entries: 0, unreadable: 0, complete: true })
  })

  it('shows for each attribute what was delivered, what is open and what waits, by name', async () => {
    const known = [
      { name: 'tier', done: at(10), open: at(20) },
      { name: 'city', done: at(5) },
      { name: 'loan', open: at(7) },
    ]
    expect(await find(known, [[entry(30, ['tier', 'new'])]]).where()).toEqual({
      attributes: [
        { name: 'city', deliveredAt: iso(5), waitingAt: [] },
        { name: 'loan', openAt: iso(7), waitingAt: [] },
        { name: 'new', waitingAt: [iso(30)] },
        { name: 'tier', deliveredAt: iso(10), openAt: iso(20), waitingAt: [iso(30)] },
      ],
      entries: 1,
      unreadable: 0,
      complete: true,
    })
  })

  it('counts every page, including empty and unreadable ones', async () => {
    const { asked, where } = find(
      [],
      [[entry(1, ['tier'])], [], [{ key: 'b1/x', unreadable: 'x' }, entry(2, ['tier'])]],
    )
    expect(await where()).toEqual({
      attributes: [{ name: 'tier', waitingAt: [iso(1), iso(2)] }],
      entries: 3,
      unreadable: 1,
      complete: true,
    })
    expect(asked).toEqual([
      [`${visitorHash}/`, undefined],
      [`${visitorHash}/`, '1'],
      [`${visitorHash}/`, '2'],
    ])
  })

  it('shows until when the last of them is held back', async () => {
    const held = (seconds: number) => ({ notBeforeMs: 1_000 * seconds })
    const pages = [[entry(1, ['a'], held(60)), entry(2, ['a'], held(90)), entry(3, ['a'], held(70)), entry(4, ['a'])]]
    expect(await find([], pages).where()).toMatchObject({ heldUntil: iso(90) })
  })
})
