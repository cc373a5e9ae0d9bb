/** Where a run reads on, which visitors go last, and what it has learnt: kept in the ledger from one run to the next. */
import type { Ledger } from '../core/ledger/port.ts'
import { forgetOld, type Learnt } from './learnt.ts'
import { placeMemo, readPlace, writePlace } from './ring.ts'
import type { Segment } from './segments.ts'

export interface KeptPlace {
  /** Where the next run is to begin: on the ring, or in the segment that this one reads. */
  position: string
  /** Where this run began to read. */
  readonly began: string
  /** Visitors in an admission or a settle that was rejected, and not in one that was taken since. */
  readonly suspects: Set<string>
  /** What is older than a day is left out. */
  readonly learnt: Learnt
  /** The memos that it is kept in. */
  readonly memos: readonly string[]
  /** @param texts of `memos` */
  load(texts: readonly (string | undefined)[], nowMs: number): void
  /**
   * From now on `position` is the one in this segment; that on the ring stays for the next run that reads all of it.
   *
   * @param kept under `segmentMemo`
   */
  narrow(segment: Segment, kept: string | undefined): void
  /** Asks the ledger nothing where nothing changed; rejects where it does not answer. */
  save(): Promise<void>
}

/** Of one segment: a place that another division left is outside of it, and then it begins at its first digit. */
export function segmentMemo({ index }: Segment): string {
  return `${placeMemo}/${index}`
}

const nothingLearnt: Learnt = { atMs: 0 }

/** @param segment of a run that was started by another, and never reads the whole ring */
export function createPlace(ledger: Pick<Ledger, 'remember'>, segment?: Segment): KeptPlace {
  const memo = segment === undefined ? placeMemo : segmentMemo(segment)
  const saved = new Map<string, string | undefined>()
  /** The memo of the segment that a run of the whole ring was narrowed to; and where that is on the ring meanwhile. */
  let narrowed: { readonly memo: string; readonly onRing: string } | undefined
  let began = ''
  const place: KeptPlace = {
    position: '',
    get began() {
      return began
    },
    suspects: new Set(),
    learnt: { atMs: 0 },
    memos: segment === undefined ? [placeMemo] : [placeMemo, memo],
    load(texts, nowMs) {
      const [ring, kept] = [texts[0], texts.at(-1)]
      saved.set(memo, kept)
      const { position, suspects, learnt } = readPlace(kept)
      place.position = position
      began = position
      // What one run was refused at holds for all.
      const learntByLead = readPlace(ring).learnt
      Object.assign(place.learnt, learntByLead.atMs > learnt.atMs ? learntByLead : learnt)
      forgetOld(place.learnt, nowMs)
      for (const visitor of suspects) place.suspects.add(visitor)
    },
    narrow(to, kept) {
      narrowed = { memo: segmentMemo(to), onRing: place.position }
      saved.set(narrowed.memo, kept)
      place.position = readPlace(kept).position
      began = place.position
    },
    async save() {
      const { position, learnt } = place
      const suspects = [...place.suspects]
      await keep(memo, writePlace({ position: narrowed?.onRing ?? position, suspects, learnt }))
      if (narrowed !== undefined)
        await keep(narrowed.memo, writePlace({ position, suspects: [], learnt: nothingLearnt }))
    },
  }
  return place

  async function keep(name: string, text: string): Promise<void> {
    if (text === (saved.get(name) ?? writePlace(readPlace(undefined)))) return
    await ledger.remember(name, text)
    saved.set(name, text)
  }
}
