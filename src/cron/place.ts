/** Where a run reads on, which visitors go last, and what it has learnt: kept in the ledger from one run to the next. */
import type { Ledger } from '../core/ledger/port.ts'
import { forgetOld, type Learnt } from './learnt.ts'
import { placeMemo, readPlace, writePlace } from './ring.ts'

export interface KeptPlace {
  /** Where the next run is to begin. */
  position: string
  /** Visitors in an admission or a settle that was rejected, and not in one that was taken since. */
  readonly suspects: Set<string>
  /** What is older than a day is left out. */
  readonly learnt: Learnt
  /** Rejects where the ledger does not answer. */
  load(nowMs: number): Promise<void>
  /** Asks the ledger nothing where nothing changed; rejects where it does not answer. */
  save(): Promise<void>
}

export function createPlace(ledger: Pick<Ledger, 'recall' | 'remember'>): KeptPlace {
  let saved: string | undefined
  const place: KeptPlace = {
    position: '',
    suspects: new Set(),
    learnt: { atMs: 0 },
    async load(nowMs) {
      saved = await ledger.recall(placeMemo)
      const { position, suspects, learnt } = readPlace(saved)
      place.position = position
      Object.assign(place.learnt, learnt)
      forgetOld(place.learnt, nowMs)
      for (const visitor of suspects) place.suspects.add(visitor)
    },
    async save() {
      const text = writePlace({ ...place, suspects: [...place.suspects] })
      if (text === (saved ?? writePlace(readPlace(undefined)))) return
      await ledger.remember(placeMemo, text)
      saved = text
    },
  }
  return place
}
