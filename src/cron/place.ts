/** Where a run reads on, and which visitors go last: kept in the ledger from one run to the next. */
import type { Ledger } from '../core/ledger/port.ts'
import { placeMemo, readPlace, writePlace } from './ring.ts'

export interface KeptPlace {
  /** Where the next run is to begin. */
  position: string
  /** Visitors in an admission or a settle that was rejected, and not in one that was taken since. */
  readonly suspects: Set<string>
  /** Rejects where the ledger does not answer. */
  load(): Promise<void>
  /** Asks the ledger nothing where nothing changed; rejects where it does not answer. */
  save(): Promise<void>
}

export function createPlace(ledger: Pick<Ledger, 'recall' | 'remember'>): KeptPlace {
  let saved: string | undefined
  const place: KeptPlace = {
    position: '',
    suspects: new Set(),
    async load() {
      saved = await ledger.recall(placeMemo)
      const { position, suspects } = readPlace(saved)
      place.position = position
      for (const visitor of suspects) place.suspects.add(visitor)
    },
    async save() {
      const text = writePlace({ position: place.position, suspects: [...place.suspects] })
      if (text === (saved ?? writePlace(readPlace(undefined)))) return
      await ledger.remember(placeMemo, text)
      saved = text
    },
  }
  return place
}
