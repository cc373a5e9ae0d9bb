/** A visitor's time line in its plainest form: all notes in a list, written down anew each time it is asked for. */
import type { Note } from '../../src/core/ledger/rules/history.ts'

interface Noted extends Note {
  readonly second: number
}

export interface HistoryModel {
  note(note: Note, erasedMs: number, nowMs: number): void
  text(): string | undefined
}

export function historyModel(): HistoryModel {
  let kept: Noted[] = []
  return {
    note(note, erasedMs, nowMs) {
      if (Number(note.stamp.slice(14, 27)) <= erasedMs) return
      const added = { ...note, second: Math.floor(nowMs / 1_000) }
      // A settle that was repeated, or what cannot be told from one.
      const alike = kept.some((one) => {
        const { source, names } = shown(kept, one)
        return (
          one.kind === added.kind &&
          one.digit === added.digit &&
          receivedOf(one) === receivedOf(added) &&
          (source === undefined || source === added.source) &&
          (names.length === 0 || names.join() === added.names.filter(usable).join())
        )
      })
      if (alike) return
      kept = [...kept, added].slice(-8)
      // The names of the oldest first; where that is not enough, the sources, from the oldest on.
      for (let place = 0; written(kept).length > 96 && place < kept.length; place++)
        kept = kept.with(place, { ...(kept[place] as Noted), names: [] })
      for (let place = 0; written(kept).length > 96 && place < kept.length; place++) {
        const { source: _, ...rest } = kept[place] as Noted
        kept = kept.with(place, { ...rest, names: [] })
      }
    },
    text: () => (kept.length === 0 ? undefined : written(kept)),
  }
}

function usable(word: string): boolean {
  return word.length >= 1 && word.length <= 32 && /^[\x21-\x7e]+$/.test(word) && !/["\\|]/.test(word)
}

const receivedOf = ({ stamp }: Note) => Math.floor(Number(stamp.slice(14, 27)) / 1_000)

/** Letters for words that are left: beyond 26 words a name is not written. */
function shown(all: readonly Noted[], one: Noted): { source: string | undefined; names: readonly string[] } {
  const words = wordsOf(all)
  const names = one.names.filter((name) => words.includes(name))
  return { source: words.includes(one.source ?? '') ? one.source : undefined, names }
}

function wordsOf(notes: readonly Noted[]): readonly string[] {
  return [...new Set(notes.flatMap(({ source, names }) => [source ?? '', ...names]).filter(usable))].slice(0, 26)
}

function written(notes: readonly Noted[]): string {
  const words = wordsOf(notes)
  const letter = (word: string) => (words.includes(word) ? String.fromCharCode(65 + words.indexOf(word)) : '')
  const lines = notes.map(({ kind, digit, source = '', names, second, stamp }, place) => {
    const since = second - (notes[place - 1]?.second ?? 0)
    const after = second - receivedOf({ stamp } as Note)
    return [
      kind,
      digit ?? '',
      letter(source) || '.',
      ...names.map(letter),
      since.toString(36),
      after !== 0 ? `~${after.toString(36)}` : '',
    ].join('')
  })
  return `${words.join(' ')}|${lines.join(' ')}`
}
