/** `/admin/api/seals`: what each key of `BACKLOG_KEYS` seals, and sealing it anew under the first. */
import { zValidator } from '@hono/zod-validator'
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { given } from '../../../core/given.ts'
import { problem } from '../../http/problem.ts'
import { jsonBody, refuse } from '../../http/valid.ts'
import type { PartsOf } from '../parts.ts'
import { recordingActs } from './audit.ts'
import { maxBodyBytes } from './bodies.ts'

export const sealsQuery = z.strictObject({ cursor: z.string().optional() })
export const sealsBody = z.strictObject({ cursor: z.string().optional() })

export function sealsApi(partsOf: PartsOf<'operator' | 'clock' | 'log'>): Hono {
  const act = recordingActs(partsOf)
  const app = new Hono({ strict: false })
  const answer = async (c: Context, anew: boolean, cursor: string | undefined) => {
    const seals = await partsOf(c).operator.seals({ anew, ...given({ cursor }) })
    return seals === 'unknown_cursor'
      ? problem(c, 'invalid', { errors: [{ path: 'cursor', message: 'is none that this route gave' }] })
      : c.json(seals)
  }

  app.get(
    '/',
    zValidator('query', sealsQuery, refuse('malformed', { detail: 'The only query parameter is cursor.' })),
    (c) => answer(c, false, c.req.valid('query').cursor),
  )
  app.post(
    '/',
    jsonBody(
      () => sealsBody,
      refuse('invalid', () => ({ errors: [{ path: 'cursor', message: 'must be text, and all there is' }] })),
      { maxBytes: maxBodyBytes, clockOf: (c) => partsOf(c).clock },
    ),
    async (c) => {
      await act(c, 'reseal', undefined, { goesOn: true })
      return answer(c, true, c.req.valid('json').cursor)
    },
  )
  return app
}
