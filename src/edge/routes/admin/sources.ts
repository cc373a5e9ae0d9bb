/** `/admin/api/sources`: what is configured of each source, and what it would make of an event. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { given } from '../../../core/given.ts'
import { problem } from '../../http/problem.ts'
import { jsonBody, refuse } from '../../http/valid.ts'
import { secretProblem } from '../../source/check.ts'
import { eventsIn, joined, mapEvents, parseEvent } from '../../source/mapping.ts'
import type { Source } from '../../source/types.ts'
import { previewed } from '../dry-run.ts'
import type { PartsOf } from '../parts.ts'

/** A source takes more, but nobody pastes that. */
const maxTriedBytes = 262_144

/** Without an event: the source's sample. */
export const trialBody = z.strictObject({
  event: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
})

export function sourcesApi(partsOf: PartsOf<'settings' | 'sources' | 'prepare' | 'operator' | 'wire' | 'clock'>): Hono {
  const app = new Hono({ strict: false })
  app.get('/', async (c) => {
    const { settings, sources } = partsOf(c)
    const shown = sources.map(async (source) => {
      const secrets = settings.hookSecrets.get(source.name) ?? []
      const { name, auth, format, lane, methods, share, skipsUnchanged, delayMs, attributes, sample } = source
      return {
        ...{ name, scheme: auth.name, format, lane, methods, secrets: secrets.length, sample: sample !== undefined },
        ...given({
          share,
          skipUnchanged: skipsUnchanged || undefined,
          attributes,
          delaySeconds: delayMs === 0 ? undefined : delayMs / 1_000,
        }),
        ...given({ problem: await secretProblem(source, secrets) }),
      }
    })
    return c.json({ sources: await Promise.all(shown) })
  })
  app.post(
    '/:source/map',
    jsonBody(
      () => trialBody,
      refuse('invalid', () => ({ errors: [{ path: 'event', message: 'must be the text of a body' }] })),
      { maxBytes: maxTriedBytes, clockOf: (c) => partsOf(c).clock },
    ),
    async (c) => {
      const source = partsOf(c).sources.find(({ name }) => name === c.req.param('source'))
      if (source === undefined) return problem(c, 'not-found')
      return c.json(previewed(partsOf(c).wire, await tried(c, source, c.req.valid('json'))))
    },
  )
  return app

  /** Mapped as an event of its sender would be, and nothing done. */
  async function tried(c: Context, source: Source, { event, headers = {} }: z.output<typeof trialBody>) {
    const { prepare, operator, clock } = partsOf(c)
    if (event === undefined) {
      if (source.sample === undefined) return { ok: false as const, reason: 'the source has no sample' }
      const arrival = { arrivalMs: clock.now(), headers: source.sampleHeaders }
      return joined(await mapEvents(source, [source.sample], arrival, operator.prepareSample))
    }
    const parsed = parseEvent(source.format, new TextEncoder().encode(event))
    const found = parsed.ok ? eventsIn(source, parsed.event) : parsed
    if (!found.ok) return found
    return joined(await mapEvents(source, found.events, { arrivalMs: clock.now(), headers }, prepare))
  }
}
