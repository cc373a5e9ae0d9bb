/** `/admin/api`: one visitor's data, to be found or erased. A visitor's id has no place in a URL. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { validateVisitor } from '../../../core/update/validate.ts'
import { problem } from '../../http/problem.ts'
import { jsonBody } from '../../http/valid.ts'
import type { PartsOf } from '../parts.ts'
import { recordingActs } from './audit.ts'
import { maxBodyBytes, notAVisitor, visitorBody } from './bodies.ts'

export const eraseBody = visitorBody.extend({ cursor: z.string().optional() })

export function visitorApi(partsOf: PartsOf<'operator' | 'clock' | 'log'>): Hono {
  const act = recordingActs(partsOf)
  const app = new Hono({ strict: false })
  const operatorOf = (c: Context) => partsOf(c).operator
  const clockOf = (c: Context) => partsOf(c).clock

  app.post(
    '/erase',
    jsonBody(() => eraseBody, notAVisitor, { maxBytes: maxBodyBytes, clockOf }),
    async (c) => {
      const { visitor, cursor } = c.req.valid('json')
      const checked = validateVisitor(visitor)
      if (!checked.ok) return problem(c, 'invalid', { errors: checked.problems })
      const record = await act(c, 'erase', {}, { goesOn: cursor !== undefined })
      const erased = await operatorOf(c).erase(checked.visitor, cursor)
      if (erased === 'unknown_cursor')
        return problem(c, 'invalid', {
          errors: [{ path: 'cursor', message: 'is none that an erasure of this visitor gave' }],
        })
      const { entries, deadLetters, complete } = erased
      await record({ entries, deadLetters, complete: complete ? 'yes' : 'no' })
      return c.json(erased)
    },
  )
  app.post(
    '/visitor',
    jsonBody(() => visitorBody, notAVisitor, { maxBytes: maxBodyBytes, clockOf }),
    async (c) => {
      const checked = validateVisitor(c.req.valid('json').visitor)
      return checked.ok
        ? c.json(await operatorOf(c).find(checked.visitor))
        : problem(c, 'invalid', { errors: checked.problems })
    },
  )
  return app
}
