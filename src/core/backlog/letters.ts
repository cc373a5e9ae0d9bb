/** Dead letters of a SQL backlog: written with their heads, and listed by them. */
import { given } from '../given.ts'
import type { Limits } from '../limits.ts'
import { deadKey, packDead, parseJson, readDead, readDeadKey } from './entry-format.ts'
import { headedOf, headOf, packDetail, unpackDetail } from './head-format.ts'
import {
  type DeadLetter,
  type HeadedDead,
  type KeptDead,
  type ListDeadOptions,
  type Page,
  UnknownCursor,
  type Unreadable,
} from './port.ts'
import type { BacklogRows, LetterRow, NewHead } from './rows.ts'
import type { Seal } from './seal.ts'

export interface LettersParts {
  readonly rows: Pick<BacklogRows, 'bury' | 'letters' | 'read' | 'setHeads'>
  readonly seal: Seal
  readonly limits: Pick<Limits, 'keysPerPage' | 'bytesPerPage'>
}

/** In key order the oldest letter comes first; keys are ASCII. */
const behindAll = 'd1/~'

export function lettersOf({ rows: store, seal, limits }: LettersParts) {
  return {
    /** Also where it is there already. */
    async bury(dead: DeadLetter, name: string): Promise<string> {
      const key = deadKey(dead.atMs, name)
      const value = JSON.stringify(await seal.seal(packDead(dead), key))
      const { source, reason } = dead
      await store.bury(
        { key, value, source, reason, bytes: null, attributes: null },
        headOf(dead),
        await sealedDetail(dead, key),
      )
      return key
    },

    async listDead({ wanted = () => true, ...asked }: ListDeadOptions = {}): Promise<Page<KeptDead | Unreadable>> {
      const { rows, cursor } = await wantedRows(asked, wanted, () => true, false)
      const items: (KeptDead | Unreadable)[] = []
      const letters = await opened(rows)
      for (const { key } of rows) {
        const item = letters.get(key)
        if (item !== undefined && (!('dead' in item) || wanted(headOf(item.dead)))) items.push(item)
      }
      return { items, ...given({ cursor }) }
    },

    async deadHeads({
      wanted = () => true,
      details = false,
      ...asked
    }: ListDeadOptions & { details?: boolean } = {}): Promise<Page<HeadedDead | Unreadable>> {
      const isOpened = ({ head }: LetterRow) => head === undefined
      const { rows, cursor } = await wantedRows(asked, wanted, isOpened, details)
      const letters = await opened(rows.filter(isOpened))
      const items: (HeadedDead | Unreadable)[] = []
      for (const { key, head, detail } of rows) {
        if (head !== undefined) {
          const shown = detail === undefined ? undefined : unpackDetail(await seal.open(parseJson(detail), key))
          items.push({ key, head, ...given({ detail: shown }) })
          continue
        }
        const letter = letters.get(key)
        const item = letter && headedOf(letter, details)
        if (item !== undefined && (item.head === undefined || wanted(item.head))) items.push(item)
      }
      return { items, ...given({ cursor }) }
    },
  }

  async function sealedDetail(dead: DeadLetter, key: string): Promise<string | null> {
    const packed = packDetail(dead)
    return packed === undefined ? null : JSON.stringify(await seal.seal(packed, key))
  }

  /** Of a page's rows those that are wanted by their heads, as many as were asked for and a page holds. */
  async function wantedRows(
    { cursor = behindAll, limit = limits.keysPerPage, itemsAtMost = limits.keysPerPage }: ListDeadOptions,
    wanted: NonNullable<ListDeadOptions['wanted']>,
    isOpened: (row: LetterRow) => boolean,
    details: boolean,
  ): Promise<{ readonly rows: readonly LetterRow[]; readonly cursor: string | undefined }> {
    // It would be taken for the end of the list, or for its beginning.
    if (cursor !== behindAll && readDeadKey(cursor) === undefined) throw new UnknownCursor()
    const page = await store.letters(cursor, Math.min(limit, limits.keysPerPage), details)
    const rows: LetterRow[] = []
    let last = cursor
    let held = 0
    for (const row of page.rows) {
      if (row.head === undefined || wanted(row.head)) {
        const bytes = isOpened(row) ? row.bytes : 0
        const isFull = rows.length >= itemsAtMost || (held > 0 && held + bytes > limits.bytesPerPage)
        if (isFull) return { rows, cursor: last }
        held += bytes
        rows.push(row)
      }
      last = row.key
    }
    return { rows, cursor: page.next }
  }

  /** What is still there of them, by key. Where they had no heads, these are kept: in one step, which waits for the disk. */
  async function opened(rows: readonly LetterRow[]): Promise<ReadonlyMap<string, KeptDead | Unreadable>> {
    const letters = new Map<string, KeptDead | Unreadable>()
    if (rows.length === 0) return letters
    const found: NewHead[] = []
    const heads = new Map(rows.map(({ key, head }) => [key, head]))
    for (const { key, value } of await store.read(rows.map((row) => row.key))) {
      const head = heads.get(key)
      const item = readDead(key, await seal.open(parseJson(value), key), head)
      if (head === undefined && 'dead' in item)
        found.push({ key, head: headOf(item.dead), detail: await sealedDetail(item.dead, key) })
      letters.set(key, item)
    }
    if (found.length > 0) await store.setHeads(found)
    return letters
  }
}
