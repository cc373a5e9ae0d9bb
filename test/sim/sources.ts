/** The sources of the simulated relay: the example ones, and one that holds its updates back. */
import * as z from 'zod'
import { bearer } from '../../src/edge/auth/index.ts'
import { type Source, source } from '../../src/edge/source.ts'
import { sources } from '../../src/sources.ts'

export const simulatedSources: readonly Source[] = [
  ...sources,
  source('sign-up', {
    auth: bearer(),
    delay: '2m',
    schema: z.object({ session: z.string(), pcId: z.string(), page: z.string(), at: z.iso.datetime() }),
    map: (e) => ({ id: e.session, visitor: { pcId: e.pcId }, occurredAt: e.at, attributes: { lastKioskPage: e.page } }),
  }),
]
