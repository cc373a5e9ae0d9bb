/** The corpus's sources, and two that accept anything. */
import * as z from 'zod'
import { bearer } from '../../src/edge/auth/index.ts'
import { source } from '../../src/edge/source/source.ts'
import type { AttributeValue, Source } from '../../src/edge/source/types.ts'
import { sources as corpus } from '../corpus/sources.ts'

const anything = {
  auth: bearer(),
  schema: z.unknown(),
  map: (event: unknown) => ({ visitor: { thirdPartyId: 'anybody' }, attributes: { value: event as AttributeValue } }),
}

export const sources: readonly Source[] = [
  ...corpus,
  source('plain', anything),
  source('plain-form', { ...anything, format: 'form' }),
]
