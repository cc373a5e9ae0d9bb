/** The sources of the simulated relay: the example ones, and one that holds its updates back. */
import * as z from 'zod'
import { bearer } from '../../src/edge/auth/index.ts'
import { source } from '../../src/edge/source/source.ts'
import type { Source } from '../../src/edge/source/types.ts'
import { sources } from '../../src/sources.ts'
import { between, type Night, pick } from './draws.ts'

export function simulatedSources(night: Night): readonly Source[] {
  const random = night.random('settings')
  const drawn = night.has('settings')
  const delay = drawn ? (`${between(random, 1, 600)}s` as const) : '2m'
  const share = drawn && random.fraction() < 0.5 ? { share: pick(random, [0.01, 0.1, 0.3, 1]) } : {}
  return [
    ...sources,
    source('sign-up', {
      auth: bearer(),
      delay,
      ...share,
      skipUnchanged: night.has('unchanged'),
      schema: z.object({ session: z.string(), pcId: z.string(), page: z.string(), at: z.iso.datetime() }),
      map: (e) => ({
        id: e.session,
        visitor: { pcId: e.pcId },
        occurredAt: e.at,
        attributes: { lastKioskPage: e.page },
      }),
    }),
  ]
}
