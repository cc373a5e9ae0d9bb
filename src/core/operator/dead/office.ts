/** What an operator can do with dead letters, put together. */
import type { Hasher } from '../../update/hash.ts'
import type { Visitor } from '../../update/update.ts'
import { createLetters, type Letters, type LettersParts } from './letters.ts'

export interface DeadOffice extends Letters {
  /** The keyed hash of a visitor. */
  hashOf(visitor: Visitor): Promise<string>
}

export interface DeadOfficeParts extends LettersParts {
  readonly hasher: Pick<Hasher, 'visitor'>
}

export function createDeadOffice(parts: DeadOfficeParts): DeadOffice {
  return {
    ...createLetters(parts),
    hashOf: (visitor) => parts.hasher.visitor(visitor),
  }
}
