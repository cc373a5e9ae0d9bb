/**
 * What a run counts, by the sources of its entries, and what it notes of entries that it did not ask Target about. Counts
 * wait for the next settle (`core/ledger/untold.ts`), notes for the end of the run.
 */
import type { Entry } from '../core/backlog/port.ts'
import type { Ledger, Settlement } from '../core/ledger/port.ts'
import { type Counters, figure, severalSources } from '../core/ledger/rules/figures.ts'
import type { Note } from '../core/ledger/rules/history.ts'
import { maxBatch } from '../core/ledger/rules/settings.ts'
import type { Untold } from '../core/ledger/untold.ts'

/** A count of what was replayed. */
export function replayed(source: string, name: string, count = 1): Counters {
  return { [figure(source, 'replay', name)]: count }
}

/** Whose it is; a merged call of several sources is nobody's. */
export function sourceOf([source = severalSources, ...others]: readonly string[]): string {
  return others.length === 0 ? source : severalSources
}

/** By visitor and kind: the settlement that adds the note, without any other effect. */
export type RunNotes = Map<string, Settlement>

/** Notes an entry that left without a call of its own. Of several of one visitor the newest is kept. */
export function noteLeft(notes: RunNotes, { visitorHash, source, stamp, attributes }: Entry, become: Become): void {
  const key = `${visitorHash} ${become.kind}`
  const before = notes.get(key)?.note?.stamp
  if (before !== undefined && before > stamp) return
  const names = attributes.map(({ name }) => name)
  notes.set(key, { visitorHash, token: '', attributes: [], note: { ...become, source, names, stamp } })
}

type Become = Pick<Note, 'kind' | 'digit'>

/** Tells what still waits to be told. Rejects where the ledger does not answer. */
export async function tellRest(ledger: Pick<Ledger, 'settle'>, notes: RunNotes, untold: Pick<Untold, 'any'>) {
  const all = [...notes.values()]
  notes.clear()
  for (let start = 0; start < all.length || (start === 0 && untold.any()); start += maxBatch)
    await ledger.settle(all.slice(start, start + maxBatch))
}
