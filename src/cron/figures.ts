/** What a run counts, by the sources of its entries; it waits for the next settle (`core/ledger/untold.ts`). */
import { type Counters, figure, severalSources } from '../core/ledger/rules/figures.ts'

/** A count of what was replayed. */
export function replayed(source: string, name: string, count = 1): Counters {
  return { [figure(source, 'replay', name)]: count }
}

/** Whose it is; a merged call of several sources is nobody's. */
export function sourceOf([source = severalSources, ...others]: readonly string[]): string {
  return others.length === 0 ? source : severalSources
}
