import { describe, expect, it } from 'vitest'
import { placeMemo, prefixesFrom, readPlace, walkBacklog, writePlace } from '../../src/cron/ring.ts'
import { seededRandom } from '../support/clock.ts'

interface ListOptions {
  readonly prefix?: string
  readonly cursor?: string
  readonly limit?: number
}

/** A backlog of sorted keys with pages of at most `pageSize`; `short` makes a page shorter, with a cursor. */
function backlogOf(
  keys: () => readonly string[],
  pageSize: number,
  short: (shown: number) => number = (shown) => shown,
) {
  const asked: string[] = []
  return {
    asked,
    list: async ({ prefix = '', cursor, limit = 1_000 }: ListOptions = {}) => {
      asked.push(prefix)
      const matching = keys()
        .filter((key) => key.startsWith(`b1/${prefix}`) && key > (cursor ?? ''))
        .sort()
      const seen = matching.slice(0, Math.min(pageSize, limit))
      const items = seen.slice(0, short(seen.length)).map((key) => ({ key, unreadable: 'here only the key counts' }))
      const last = items.length < seen.length ? items.at(-1)?.key : seen.at(-1)
      return items.length < matching.length ? { items, cursor: last ?? cursor ?? prefix } : { items }
    },
  }
}

const key = (hash: string, name: string | number) => `b1/${hash}/t${name}`
/** Keys of `count` visitors whose hashes are spread evenly. */
const spread = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    key(
      Math.floor((n * 2 ** 32) / count)
        .toString(16)
        .padStart(8, '0'),
      0,
    ),
  )

async function walk(backlog: ReturnType<typeof backlogOf>, position: string, stopAfter = Number.POSITIVE_INFINITY) {
  const keys: string[] = []
  let at = position
  for await (const page of walkBacklog(
    backlog,
    position,
    () => 1_000,
    (moved) => {
      at = moved
    },
  )) {
    keys.push(...page.map((item) => item.key))
    if (keys.length >= stopAfter) break
  }
  return { keys, at }
}

describe('the walk over the backlog (G7)', () => {
  it('reads a small backlog with one list, and keeps its place', async () => {
    const backlog = backlogOf(() => spread(50), 100)
    expect(await walk(backlog, 'ab')).toMatchObject({ keys: { length: 50 }, at: 'ab' })
    expect(backlog.asked).toEqual([''])
  })

  it('goes on from its first page if it begins at the beginning', async () => {
    const backlog = backlogOf(() => spread(1_000), 100)
    const { keys, at } = await walk(backlog, '')
    expect([keys.length, new Set(keys).size, backlog.asked.length, at]).toEqual([1_000, 1_000, 10, ''])
  })

  it.each(['c', '07', 'a7f', 'ffffffff', '00000000'])(
    'walks all the way round from %s, each key once',
    async (position) => {
      const { keys, at } = await walk(
        backlogOf(() => spread(1_000), 100),
        position,
      )
      const from = keys.findIndex((name) => name < `b1/${position}`)
      expect(keys[0]?.slice(3) ?? '' >= position).toBeTruthy()
      expect(keys).toEqual([
        ...keys.slice(0, from === -1 ? undefined : from).sort(),
        ...(from === -1 ? [] : keys.slice(from).sort()),
      ])
      expect([keys.length, new Set(keys).size, at]).toEqual([1_000, 1_000, position])
    },
  )

  it('has prefixes with carry that cover the ring, none twice', () => {
    expect(prefixesFrom('e7').slice(0, 10)).toEqual(['e7', 'e8', 'e9', 'ea', 'eb', 'ec', 'ed', 'ee', 'ef', 'f'])
    expect(prefixesFrom('12').slice(-3)).toEqual(['0', '10', '11'])
    for (const position of ['', '0', 'f', 'a7', '00f', 'ffffffff']) {
      const share = prefixesFrom(position).reduce((sum, prefix) => sum + 16 ** -prefix.length, 0)
      expect([position, share]).toEqual([position, 1])
    }
  })

  it('a run that ends inside a prefix continues next time after what it read', async () => {
    const { at } = await walk(
      backlogOf(
        () =>
          [...spread(16), ...Array.from({ length: 300 }, (_, n) => key(`a7${(n % 16).toString(16)}00000`, n))].sort(),
        100,
      ),
      'a7',
      1,
    )
    // The first page ends inside a75.
    expect(at).toBe('a75')
  })

  it('a visitor with many pages does not hold up the ring, and nobody is skipped', async () => {
    const keys = [
      ...spread(64),
      ...Array.from({ length: 1_000 }, (_, n) => key('a7777777', String(n).padStart(4, '0'))),
    ].sort()
    const backlog = backlogOf(() => keys, 20)
    const visitors = new Set<string>()
    let position = ''
    for (let run = 0; run < 30; run++) {
      const { keys: read, at } = await walk(backlog, position, 1)
      for (const name of read) visitors.add(name.slice(3, 11))
      position = at
    }
    expect(visitors.size).toBe(65)
  })

  it('empty pages are passed', async () => {
    const backlog = backlogOf(
      () => spread(1_000),
      100,
      () => 0,
    )
    const seen = new Set<string>()
    let position = ''
    for (let run = 0; run < 40; run++) {
      let lists = 0
      for await (const _ of walkBacklog(
        backlog,
        position,
        () => 1_000,
        (moved) => {
          position = moved
        },
      ))
        if (++lists > 2) break
      seen.add(position)
    }
    expect(seen.size).toBeGreaterThan(20)
  })

  /** Where a run continues if its first page at the position holds these keys and more pages follow. */
  async function behindPage(position: string, keys: readonly string[]) {
    const list = async () => ({
      items: keys.map((name) => ({ key: name, unreadable: 'here only the key counts' })),
      cursor: 'more',
    })
    let at: string | undefined
    for await (const _ of walkBacklog(
      { list },
      position,
      () => 10,
      (moved) => {
        at = moved
      },
    ))
      if (at !== undefined) break
    return at
  }
  it.each<[string, string, readonly string[], string]>([
    [
      'visitors that differ early: the last one’s place, in as few digits as identify it',
      'a',
      [key('a1000000', 0), key('a7f00000', 0)],
      'a7',
    ],
    ['visitors that differ late', 'a', [key('a7777771', 0), key('a7777778', 0)], 'a7777778'],
    ['one visitor alone: the next one', 'a', [key('a7777777', 0), key('a7777777', 1)], 'a7777778'],
    ['one visitor whose digits end in f: with carry', 'a', [key('a7ffffff', 0), key('a7ffffff', 1)], 'a8'],
    ['the last visitor of all: the beginning', 'f', [key('ffffffff', 0), key('ffffffff', 1)], ''],
    ['nothing: a longer prefix', 'a7', [], 'a70'],
    ['nothing, at the longest prefix: the next', 'a7777777', [], 'a7777778'],
    ['a foreign key first: a longer prefix', 'a7', ['b1/what', key('a7777777', 0)], 'a70'],
    ['a foreign key last: a longer prefix', 'a7', [key('a7777777', 0), 'b1/what'], 'a70'],
  ])('goes on after a page of %s', async (_, position, keys, at) => {
    expect(await behindPage(position, keys)).toBe(at)
  })

  it('asks for as many as it is told, prefix by prefix, and with the cursor if there is one', async () => {
    const asked: object[] = []
    const pages = [{ cursor: 'x' }, { cursor: 'y' }, {}, {}].map((page) => ({ items: [], ...page }))
    const list = async (options: object = {}) => {
      asked.push(options)
      return pages.shift() ?? { items: [] }
    }
    let limit = 0
    for await (const _ of walkBacklog(
      { list },
      'fe',
      () => ++limit,
      () => {},
    ))
      if (asked.length === 4) break
    expect(asked).toStrictEqual([
      { limit: 1 },
      { prefix: 'fe', limit: 2 },
      { prefix: 'fe', limit: 3, cursor: 'y' },
      { prefix: 'ff', limit: 4 },
    ])
  })

  it('does not take a page from elsewhere for its own: from the middle it begins with none, from the start with the first', async () => {
    const firstPage = async (position: string) => {
      const backlog = backlogOf(() => spread(1_000), 100)
      for await (const page of walkBacklog(
        backlog,
        position,
        () => 1_000,
        () => {},
      ))
        return [page.length, backlog.asked]
      return undefined
    }
    expect(await firstPage('')).toEqual([100, ['']])
    expect(await firstPage('c')).toEqual([0, ['']])
  })

  it('its place is stored under the same name as in earlier versions', () => {
    expect(placeMemo).toBe('flush-place')
  })

  it('stores its place as text, and starts at the beginning if that cannot be read', () => {
    const learnt = { atMs: 0 }
    const place = { position: 'a7f', suspects: ['0123456789abcdef', 'fedcba9876543210'], learnt }
    expect(readPlace(writePlace(place))).toEqual(place)
    expect(writePlace({ position: '', suspects: [], learnt })).toBe(';')
    const known = { ...place, learnt: { operations: 1_000, calls: 50, atMs: 1_790_000_000_000 } }
    expect(readPlace(writePlace(known))).toEqual(known)
    const some = { ...place, learnt: { operations: 1_000, atMs: 1_790_000_000_000 } }
    expect(readPlace(writePlace(some))).toEqual(some)
    // How a later version may write it: the place is still known.
    expect(readPlace('a7;;1,2,3,4')).toEqual({ position: 'a7', suspects: [], learnt })
    // `2:ab` is how an older version wrote it.
    for (const text of [undefined, '', '2:ab', '9:zz', 'x', '0123456789;', 'a7;zz', 'a7'])
      expect(readPlace(text)).toEqual({ position: '', suspects: [], learnt })
    const many = Array.from({ length: 300 }, (_, n) => n.toString(16).padStart(32, '0'))
    expect(readPlace(writePlace({ position: '', suspects: many, learnt })).suspects).toEqual(many.slice(-100))
  })

  /**
   * Runs that can only do a part of a page (those that waited longest first), while new entries keep coming and one visitor
   * has more than any other. Whatever is in the backlog leaves it within a bounded number of runs.
   */
  it.each([1, 2, 3, 4, 5, 6])(
    'under sustained inflow every entry is visited within a bounded number of runs: seed %i',
    async (seed) => {
      const random = seededRandom(seed)
      const [pageSize, perRun, inflow, runs] = [20, 9, 5, 400]
      const since = new Map<string, number>()
      let serial = 0
      const put = (run: number) => {
        const hot = random.fraction() < 0.2
        since.set(key(hot ? 'a7777777' : random.hex(4), String(serial++).padStart(8, '0')), run)
      }
      for (let n = 0; n < 300; n++) put(0)
      let position = ''
      let longest = 0
      const positions: string[] = []
      for (let run = 1; run <= runs; run++) {
        for (let n = 0; n < inflow; n++) put(run)
        let left = perRun
        const backlog = backlogOf(
          () => [...since.keys()],
          pageSize,
          (shown) => Math.max(1, Math.ceil(shown * random.fraction())),
        )
        for await (const page of walkBacklog(
          backlog,
          position,
          () => pageSize,
          (moved) => {
            position = moved
          },
        )) {
          const oldest = page.map((item) => item.key).sort((a, b) => (since.get(a) ?? 0) - (since.get(b) ?? 0))
          for (const done of oldest.slice(0, left)) {
            longest = Math.max(longest, run - (since.get(done) ?? run))
            since.delete(done)
          }
          left -= page.length
          if (left <= 0) break
        }
        positions.push(position)
      }
      for (const [, run] of since) longest = Math.max(longest, runs - run)
      expect([seed, longest]).toEqual([seed, expect.toSatisfy((waited: number) => waited < 150)])
      expect(new Set(positions).size).toBeGreaterThan(30)
    },
  )
})
