import { describe, expect, it } from 'vitest'
import { type RingPlace, readPlace, ringStart, walkBacklog, writePlace } from '../../src/cron/ring.ts'

/** A backlog of `count` keys whose hashes are spread evenly, with pages of `pageSize`. */
function backlogOf(count: number, pageSize: number) {
  const hashes = Array.from({ length: count }, (_, n) =>
    Math.floor((n * 65_536) / count)
      .toString(16)
      .padStart(4, '0'),
  )
  const asked: string[] = []
  return {
    asked,
    list: async ({ prefix = '', cursor }: { prefix?: string; cursor?: string } = {}) => {
      asked.push(prefix)
      const matching = hashes.filter((hash) => hash.startsWith(prefix) && hash > (cursor ?? ''))
      const shown = matching.slice(0, pageSize)
      const items = shown.map((key) => ({ key, unreadable: 'here only the key counts' }))
      return matching.length > pageSize ? { items, cursor: shown.at(-1) ?? '' } : { items }
    },
  }
}

async function walk(backlog: ReturnType<typeof backlogOf>, place: RingPlace, stopAfter = Number.POSITIVE_INFINITY) {
  const keys: string[] = []
  let at = place
  for await (const page of walkBacklog(backlog, place, (moved) => (at = moved))) {
    keys.push(...page.map(({ key }) => key))
    if (keys.length >= stopAfter) break
  }
  return { keys, at }
}

describe('the walk over the backlog (G7)', () => {
  it('reads a small backlog in one list', async () => {
    const backlog = backlogOf(50, 100)
    expect((await walk(backlog, { digits: 2, next: 'ab' })).keys).toHaveLength(50)
    expect(backlog.asked).toEqual([''])
  })

  it('walks a large one by prefix, all the way round from where it was, each key once', async () => {
    const { keys, at } = await walk(backlogOf(1_000, 100), { digits: 1, next: 'c' })
    expect(keys[0]?.[0]).toBe('c')
    expect(new Set(keys).size).toBe(1_000)
    expect(keys).toHaveLength(1_000)
    expect(at).toEqual({ digits: 1, next: 'c' })
  })

  it('runs that stop early go on where they stopped: nobody at the end of the alphabet starves', async () => {
    const seen = new Set<string>()
    let place = ringStart
    for (let run = 0; run < 20; run++) {
      const { keys, at } = await walk(backlogOf(1_000, 100), place, 130)
      for (const key of keys) seen.add(key)
      place = at
    }
    expect(seen.size).toBe(1_000)
  })

  it('takes longer prefixes once one prefix fills several pages', async () => {
    const { at } = await walk(backlogOf(10_000, 100), ringStart)
    expect(at.digits).toBe(2)
    const { keys } = await walk(backlogOf(10_000, 100), at)
    expect(new Set(keys).size).toBe(10_000)
  })

  it('keeps its place as text, and starts anew where that cannot be read', () => {
    expect(readPlace(writePlace({ digits: 2, next: 'ab' }))).toEqual({ digits: 2, next: 'ab' })
    for (const text of [undefined, '', '9:zz', 'x']) expect(readPlace(text)).toEqual(ringStart)
  })
})
