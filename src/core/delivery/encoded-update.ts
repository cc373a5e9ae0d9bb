/** An update that carries its calls, so that it is encoded once from its check to its sending. */
import type { Update } from '../update/update.ts'
import type { Encoding } from '../wire/calls.ts'

export interface EncodedUpdate extends Update {
  /** The calls of exactly its attributes, in their order; absent where they are still to be encoded. */
  readonly encoding?: Encoding
}
