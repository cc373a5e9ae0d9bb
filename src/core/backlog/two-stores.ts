/**
 * A backlog that moves between a KV and a SQL store: what is new goes to one, and what waits in the other is read, sent
 * and removed until nothing is left there.
 *
 * Guarantee: what either store holds is found by every reader: the flush, lists, plans, erasure, counts. Entries come in
 * the order of their keys, whichever store they are in, so that a visitor's merge. An entry or a letter is removed from
 * where it was read, or from both where this instance has not read it.
 * Known hole: once the old store was found empty it is looked at every `lookAgainMs`, so that what another instance with
 * the old setting puts there meanwhile waits so long. A page of KV is listed again for each page of SQL within it.
 */
import { given } from '../given.ts'
import type { Backlog, KeptDead, Page, Unreadable } from './port.ts'

export interface TwoStores {
  readonly kv: Backlog
  /** Its cursor is a key: behind any key its list can go on. */
  readonly sql: Backlog
  /** Which of them keeps what is new; the other held it until now. */
  readonly keepsIn: Kind
  readonly now: () => number
  /** Outlives this, where the process or isolate does. */
  readonly memory: MoveMemory
}

export interface MoveMemory {
  /** When the old store was last found without entries, epoch ms. */
  emptyAtMs?: number
}

/**
 * Cloudflare: a row of an object's SQLite has 2 MB at most. A character takes three bytes of UTF-8 at most, and each of
 * them 16/9 once it is base64, sealed, and base64 again. A larger letter is kept in KV, which is read in any case.
 */
export const rawCharsPerRow = 350_000

/** One list of KV every ten minutes: 144 a day, of the 1,000 that the Free plan has. */
export const lookAgainMs = 600_000

type Side = 'from' | 'to'
type Kind = 'kv' | 'sql'
/**
 * The stores that a list goes through one after the other: where it is, and what is behind that. A cursor says them by
 * name: an instance of before or after a move may go on with it. Neither store makes a cursor that begins so.
 */
type Course = readonly [Kind, ...Kind[]]
const courses: ReadonlyMap<string, Course> = new Map([
  ['kv+sql', ['kv', 'sql']],
  ['sql+kv', ['sql', 'kv']],
  ['kv', ['kv']],
  ['sql', ['sql']],
])

export function twoStores({ kv, sql, keepsIn, now, memory }: TwoStores): Backlog {
  const [to, from] = keepsIn === 'sql' ? [sql, kv] : [kv, sql]
  const stores = { from, to }
  const sideOf = (kind: Kind): Side => (kind === keepsIn ? 'to' : 'from')
  /** The old store first: what moves meanwhile is found in the new one. */
  const whole: Course = keepsIn === 'sql' ? ['kv', 'sql'] : ['sql', 'kv']
  /** Where what was shown or kept lies, by key. */
  const places = new Map<string, Side>()

  return {
    get operations() {
      return to.operations + from.operations
    },
    put: async (entry) => kept(await to.put(entry)),
    async bury(dead, name) {
      const fits = (dead.raw?.length ?? 0) <= rawCharsPerRow
      return fits ? kept(await to.bury(dead, name)) : kv.bury(dead, name)
    },
    putText: to.putText,
    check: to.check,
    list: (options = {}) => merged(options, async (side, asked) => noted(side, await stores[side].list(asked))),
    heads: (options = {}) =>
      merged(options, async (side, asked) => (await stores[side].heads?.(asked)) ?? { items: [] }),
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
    removesTogether: (key) => sidesOf(key).every((side) => stores[side].removesTogether?.(key) === true),
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
    reseal: async ({ cursor: marked, ...rest }) => {
      const { course, cursor } = placeOn(marked, whole)
      const page = await stores[sideOf(course[0])].reseal({ ...rest, ...given({ cursor }) })
      return { ...page, ...given({ cursor: nextOf(course, page.cursor) }) }
    },
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

  /** A page of both stores in key order. It ends where the next keys of one store are not known yet. */
  async function merged<T extends { readonly key: string }>(
    { cursor, ...options }: ListOptions,
    ask: (side: Side, options: ListOptions) => Promise<Page<T>>,
  ): Promise<Page<T>> {
    const isWhole = (options.prefix ?? '') === '' && cursor === undefined
    // Asked once: what was not looked at must not count as empty where the ten minutes end meanwhile.
    const skipsOld = isWhole && isKnownEmpty()
    const at = cursor === undefined ? beginning(skipsOld) : (placeOf(cursor) ?? beginning(false))
    const pageOf = (kind: Kind): Promise<Page<T>> => {
      const from = at[kind]
      if (from === null) return Promise.resolve({ items: [] })
      return ask(sideOf(kind), { ...options, ...given({ cursor: from || undefined }) })
    }
    const [inKv, inSql] = await Promise.all([pageOf('kv'), pageOf('sql')])
    const old = keepsIn === 'sql' ? inKv : inSql
    if (isWhole && !skipsOld) note(old.items.length === 0 && old.cursor === undefined)
    return joined(at, inKv, inSql, options.limit ?? Number.POSITIVE_INFINITY)
  }

  /** The pages of one store, and behind them those of the next. No page is empty where the next one need not be. */
  async function inTurn<T>(
    { cursor: marked, ...rest }: DeadOptions,
    ask: (side: Side, options: DeadOptions) => Promise<Page<T>>,
  ): Promise<Page<T>> {
    let { course, cursor } = placeOn(marked, whole)
    let page = await ask(sideOf(course[0]), { ...rest, ...given({ cursor }) })
    const [, next] = course
    if (page.items.length === 0 && page.cursor === undefined && next !== undefined) {
      course = [next]
      page = await ask(sideOf(next), rest)
    }
    return { items: page.items, ...given({ cursor: nextOf(course, page.cursor) }) }
  }

  function beginning(withoutOld: boolean): Place {
    const old = withoutOld ? null : ''
    return keepsIn === 'sql' ? { kv: old, sql: '' } : { kv: '', sql: old }
  }
}

type ListOptions = NonNullable<Parameters<Backlog['list']>[0]>
type DeadOptions = NonNullable<Parameters<Backlog['deadHeads']>[0]>

/** Where a merged list goes on in each store; empty at the beginning, null where nothing of the store is wanted. */
interface Place {
  /** Of the page of KV that is being shown. */
  readonly kv: string | null
  /** The last key that was shown, of either store. */
  readonly sql: string | null
}

/** Undefined where one store alone made the cursor. */
function placeOf(cursor: string): Place | undefined {
  try {
    const { kv, sql } = JSON.parse(cursor) as Partial<Place>
    return kv === undefined || sql === undefined ? undefined : { kv, sql }
  } catch {
    return undefined
  }
}

/** Behind every key, which are ASCII. */
const behindAll = '~'

function joined<T extends { readonly key: string }>(at: Place, inKv: Page<T>, inSql: Page<T>, limit: number): Page<T> {
  const shown = at.sql ?? ''
  const lastOfKv = inKv.items.at(-1)?.key ?? ''
  // Up to where each store is known.
  const kvEnd = inKv.cursor === undefined ? behindAll : lastOfKv || shown
  const sqlEnd = inSql.cursor ?? behindAll
  const [known = behindAll] = [kvEnd, sqlEnd].sort()
  const found = [...inKv.items.filter(({ key }) => key > shown), ...inSql.items].filter(({ key }) => key <= known)
  const items = found.sort((one, other) => (one.key < other.key ? -1 : 1)).slice(0, limit)
  const end = items.length < found.length ? (items.at(-1)?.key ?? known) : known
  if (end === behindAll) return { items }
  const next: Place = {
    kv: lastOfKv <= end ? (inKv.cursor ?? null) : at.kv,
    sql: at.sql === null ? null : end,
  }
  return { items, cursor: JSON.stringify(next) }
}

/** Where a list goes on; a cursor of a time with one store is of the old one. */
function placeOn(marked: string | undefined, whole: Course): { course: Course; cursor: string | undefined } {
  const [, name = '', cursor] = /^([a-z+]+):(.*)$/s.exec(marked ?? '') ?? []
  const course = courses.get(name)
  return course === undefined ? { course: whole, cursor: marked } : { course, cursor: cursor || undefined }
}

function nextOf(course: Course, cursor: string | undefined): string | undefined {
  if (cursor !== undefined) return `${course.join('+')}:${cursor}`
  const [, ...behind] = course
  return behind.length === 0 ? undefined : `${behind.join('+')}:`
}
