/** Seals for tests: without a key, and with made-up keys. */
import { createSeal, type RingKey } from '../../src/core/backlog/seal.ts'
import { randomBytes } from '../../src/relay/runtime.ts'

export const ringKey = (id: string, fill = id.charCodeAt(0)): RingKey => ({ id, bytes: new Uint8Array(32).fill(fill) })
export const sealWith = (...ids: readonly string[]) =>
  createSeal(
    ids.map((id) => ringKey(id)),
    randomBytes,
  )
export const plainSeal = await sealWith()
