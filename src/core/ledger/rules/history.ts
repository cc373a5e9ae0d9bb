/**
 * A visitor's time line: its last eight happenings in one text of bounded size, which lies in the visitor's own row. The
 * SQL ledger runs these rules as they stand here; `redis/scripts/history.ts` says the same in Lua, under the same names.
 *
 * The text is `<word> <word>|<happening> <happening>`, oldest first. A happening is its kind (a letter) and digit, its
 * source and the names of its attributes as letters that stand for words (`.`: no source), its time, and behind `~` how
 * long before it was received. Times are seconds in base 36; that of a happening counts from the one before.
 */
import type { Stamp } from '../../update/update.ts'

/** What a settlement adds to a visitor's history. */
export interface Note {
  readonly kind: Kind
  /** 0 to 9: which reason, or how many other entries were merged into it. */
  readonly digit?: number
  readonly source?: string
  /** Of attributes. */
  readonly names: readonly string[]
  /** Of the update, or the newest of its attributes. */
  readonly stamp: Stamp
}

/** s sent live, r replayed, d deferred, e deferred again, j rejected, p superseded, u unchanged, a set aside. */
export type Kind = 's' | 'r' | 'd' | 'e' | 'j' | 'p' | 'u' | 'a'

export interface Happening extends Omit<Note, 'stamp' | 'kind'> {
  /** One of `Kind`, or a later version's. */
  readonly kind: string
  /** Epoch s. */
  readonly atS: number
  /** How long before it was received, s; below 0 where the relay's clock is ahead of the ledger's. */
  readonly afterS: number
}

export const happeningsKept = 8
/** Names and sources of older happenings are left out beyond it. */
export const historyBytes = 96
/** A word that is noted: of these characters, which JSON does not escape, and not longer. Others are left out. */
const wordForm = /^[!#-[\]-{}~]{1,32}$/
const happeningForm = /^([a-z])(\d?)([A-Z.])([A-Z]*)(-?[0-9a-z]+)(?:~(-?[0-9a-z]+))?$/
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** The text once `note` was added at `nowMs`; as it was where it was added before, by a settle that was repeated. */
export function noted(
  text: string | undefined,
  { stamp: _, ...note }: Note,
  receivedMs: number,
  nowMs: number,
): string {
  const atS = Math.floor(nowMs / 1_000)
  const happening = { ...note, atS, afterS: atS - Math.floor(receivedMs / 1_000) }
  const before = historyOf(text)
  if (text !== undefined && before.some((one) => isAlike(one, happening))) return text
  const all = [...before, happening].slice(-happeningsKept)
  for (const part of ['names', 'source'] as const)
    for (let place = 0; place < all.length && historyText(all).length > historyBytes; place++) {
      const { names, source, ...rest } = all[place] as Happening
      all[place] = { ...rest, names: [], ...(part === 'source' || source === undefined ? {} : { source }) }
    }
  return historyText(all)
}

/** Whether two happenings of one kind came in within one second, by what is kept of the first. */
function isAlike(kept: Happening, added: Happening): boolean {
  const names = added.names.filter((name) => wordForm.test(name)).join(' ')
  return (
    kept.kind === added.kind &&
    kept.digit === added.digit &&
    kept.atS - kept.afterS === added.atS - added.afterS &&
    (kept.source ?? added.source) === added.source &&
    (kept.names.length === 0 || kept.names.join(' ') === names)
  )
}

/** Oldest first. */
export function historyOf(text: string | undefined): readonly Happening[] {
  const [head = '', tail = ''] = (text ?? '').split('|')
  const words = head.split(' ')
  const wordOf = (letter: string) => words[letters.indexOf(letter)]
  let lastS = 0
  return tail.split(' ').flatMap((one) => {
    const [, kind, digit, source = '.', names = '', time = '', after = '0'] = happeningForm.exec(one) ?? []
    if (kind === undefined) return []
    lastS += Number.parseInt(time, 36)
    const from = wordOf(source)
    return {
      kind,
      ...(digit === '' ? {} : { digit: Number(digit) }),
      ...(from === undefined ? {} : { source: from }),
      names: [...names].flatMap((letter) => wordOf(letter) ?? []),
      atS: lastS,
      afterS: Number.parseInt(after, 36),
    }
  })
}

function historyText(all: readonly Happening[]): string {
  const words: string[] = []
  const letterOf = (word: string): string => {
    if (!wordForm.test(word)) return ''
    if (!words.includes(word) && words.length < letters.length) words.push(word)
    return words.includes(word) ? (letters[words.indexOf(word)] ?? '') : ''
  }
  let lastS = 0
  const tail = all.map(({ kind, digit = '', source, names, atS, afterS }) => {
    const refs = (source === undefined ? '' : letterOf(source)) || '.'
    const time = (atS - lastS).toString(36)
    lastS = atS
    return `${kind}${digit}${refs}${names.map(letterOf).join('')}${time}${afterS !== 0 ? `~${afterS.toString(36)}` : ''}`
  })
  return `${words.join(' ')}|${tail.join(' ')}`
}
