/**
 * A backlog that moves from one store to another: what is new goes to one, and what waits in the other is read, sent and
 * removed until nothing is left there.
 *
 * Guarantee: what either store holds is found by every reader: the flush, lists, plans, erasure, counts. An entry or a
 * letter is removed from where it was read, or from both where this instance has not read it.
 * Known hole: entries of one visitor in both stores are not always merged into one call; the ledger's registers keep
 * their order. Once the old store was found empty it is looked at every `lookAgainMs`, so that what another instance
 * with the old setting puts there meanwhile waits so long.
 */
import { given } from '../given.ts'
import type { Backlog, EntryHead, KeptDead, Page, Unreadable } from './port.ts'

export interface TwoStores {
  /** Keeps what is new. */
  readonly to: Backlog
  /** Held it until now. */
  readonly from: Backlog
  readonly now: () => number
  /** Outlives this, where the process or isolate does. */
  readonly memory: MoveMemory
}

export interface MoveMemory {
  /** When the old store was last found without entries, epoch ms. */
  emptyAtMs?: number
}

/** One list of KV every ten minutes: 144 a day, of the 1,000 that the Free plan has. */
export const lookAgainMs = 600_000

type Side = 'from' | 'to'
/** Of a page that both stores share. Neither store makes a cursor that begins so. */
const marks = { from: 'from:', to: 'to:' } as const

export function twoStores({ to, from, now, memory }: TwoStores): Backlog {
  const stores = { from, to }
  /** Where what was shown or kept lies, by key. */
  const places = new Map<string, Side>()
  const { heads: headsFrom } = from
  const { heads: headsTo } = to
  const tally = to.tally ?? from.tally

  return {
    get operations() {
      return to.operations + from.operations
    },
    put: async (entry) => kept(await to.put(entry)),
    bury: async (dead, name) => kept(await to.bury(dead, name)),
    putText: to.putText,
    check: to.check,
    async list(options = {}) {
      const isWhole = (options.prefix ?? '') === '' && options.cursor === undefined
      if (isWhole && isKnownEmpty()) return pageOf('to', await listed('to', options))
      const page = await inTurn(options, listed)
      if (isWhole) note(page.cursor?.startsWith(marks.from) !== true && places.get(page.items[0]?.key ?? '') !== 'from')
      return page
    },
    listDead: (options = {}) => inTurn(options, async (side, asked) => noted(side, await stores[side].listDead(asked))),
    deadHeads: (options = {}) =>
      inTurn(options, async (side, asked) => noted(side, await stores[side].deadHeads(asked))),
    async delete(key) {
      await Promise.all(sidesOf(key).map((side) => stores[side].delete(key)))
    },
    async exchange(puts, deletes) {
      const of = (side: Side) => deletes.filter((key) => sidesOf(key).includes(side))
      await to.exchange(puts, of('to'))
      // Only once what takes its place is durable.
      if (of('from').length > 0) await from.exchange([], of('from'))
    },
    async readDead(key) {
      for (const side of sidesOf(key)) {
        const letter = await stores[side].readDead(key)
        if (letter !== undefined) return noted(side, { items: [letter] }).items[0]
      }
      return undefined
    },
    async readDeads(keys) {
      const found = new Map<string, KeptDead | Unreadable>()
      for (const side of ['to', 'from'] as const) {
        const missing = keys.filter((key) => !found.has(key) && sidesOf(key).includes(side))
        if (missing.length === 0) continue
        const items = await stores[side].readDeads(missing)
        for (const letter of noted(side, { items }).items) found.set(letter.key, letter)
      }
      return keys.flatMap((key) => found.get(key) ?? [])
    },
    readText: async (key) => (await to.readText(key)) ?? (await from.readText(key)),
    reseal: async (asked) => {
      const side = sideOf(asked.cursor)
      const { cursor: marked, ...rest } = asked
      const { cursor, ...page } = await stores[side].reseal({ ...rest, ...given({ cursor: unmarked(marked) }) })
      return { ...page, ...given({ cursor: next(side, cursor) }) }
    },
    ...given({
      // One of the two counts itself, and the heads of the other are counted.
      tally: tally && (() => tally()),
      heads:
        headsTo ??
        (headsFrom &&
          (async (options?: Parameters<typeof headsFrom>[0]) =>
            isKnownEmpty() ? { items: [] as EntryHead[] } : headsFrom(options))),
    } satisfies Partial<Record<keyof Backlog, unknown>>),
  }

  function isKnownEmpty(): boolean {
    // Also if the clock was set back.
    return memory.emptyAtMs !== undefined && Math.abs(now() - memory.emptyAtMs) < lookAgainMs
  }

  function note(isEmpty: boolean): void {
    if (isEmpty) memory.emptyAtMs = now()
    else delete memory.emptyAtMs
  }

  function kept(key: string): string {
    places.set(key, 'to')
    return key
  }

  function sidesOf(key: string): readonly Side[] {
    const side = places.get(key)
    return side === undefined ? ['to', 'from'] : [side]
  }

  function noted<P extends Page<{ readonly key: string }>>(side: Side, page: P): P {
    for (const { key } of page.items) places.set(key, side)
    return page
  }

  async function listed(side: Side, asked: Parameters<Backlog['list']>[0]) {
    return noted(side, await stores[side].list(asked))
  }
}

/** The pages of the old store, and behind them those of the new one. No page is empty where the next one need not be. */
async function inTurn<T, Options extends { cursor?: string }>(
  options: Options,
  ask: (side: Side, options: Options) => Promise<Page<T>>,
): Promise<Page<T>> {
  const { cursor: marked, ...rest } = options
  const side = sideOf(marked)
  const page = await ask(side, { ...(rest as Options), ...given({ cursor: unmarked(marked) }) })
  const isOver = side === 'from' && page.items.length === 0 && page.cursor === undefined
  return isOver ? pageOf('to', await ask('to', rest as Options)) : pageOf(side, page)
}

function pageOf<T>(side: Side, { items, cursor }: Page<T>): Page<T> {
  return { items, ...given({ cursor: next(side, cursor) }) }
}

function sideOf(cursor: string | undefined): Side {
  return cursor?.startsWith(marks.to) === true ? 'to' : 'from'
}

/** Undefined at the beginning of a store. */
function unmarked(cursor: string | undefined): string | undefined {
  return cursor?.replace(/^(from|to):/, '') || undefined
}

function next(side: Side, cursor: string | undefined): string | undefined {
  if (cursor !== undefined) return marks[side] + cursor
  return side === 'from' ? marks.to : undefined
}
