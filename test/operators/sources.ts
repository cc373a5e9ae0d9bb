/** Three sources whose senders renamed a field: a mapping that does not know it, and the mended one. */
import * as z from 'zod'
import { bearer } from '../../src/edge/auth/index.ts'
import { source } from '../../src/edge/source/source.ts'
import type { Source } from '../../src/edge/source/types.ts'

export const sourceNames = ['desk', 'shop', 'till'] as const

export function sourcesWith(field: 'customer' | 'who'): readonly Source[] {
  return sourceNames.map((name) =>
    source(name, {
      auth: bearer(),
      schema: z.looseObject({ id: z.string(), [field]: z.string(), at: z.iso.datetime() }),
      map: (event) => ({
        id: String(event['id']),
        visitor: { thirdPartyId: String(event[field]) },
        occurredAt: String(event['at']),
        attributes: { tier: 'mapped' },
      }),
    }),
  )
}
