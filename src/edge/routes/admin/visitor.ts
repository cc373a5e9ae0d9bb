/** `/admin/api`: one visitor's data, to be found or erased. A visitor's id has no place in a URL. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { given } from '../../../core/given.ts'
import { validateVisitor } from '../../../core/update/validate.ts'
import type { HeldProfile } from '../../../core/wire/profile.ts'
import { problem } from '../../http/problem.ts'
import { jsonBody } from '../../http/valid.ts'
import type { PartsOf } from '../parts.ts'
import { whoOf } from './access.ts'
import { recordingActs } from './audit.ts'
import { maxBodyBytes, notAVisitor, visitorBody } from './bodies.ts'

/** @property target asks Target, too, what it holds */
export const visitorQuestion = visitorBody.extend({ target: z.boolean().optional() })
export const eraseBody = visitorBody.extend({ cursor: z.string().optional() })

/** Of Target's, in one answer. */
const attributesShown = 200

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
    jsonBody(() => visitorQuestion, notAVisitor, { maxBytes: maxBodyBytes, clockOf }),
    async (c) => {
      const { visitor, target = false } = c.req.valid('json')
      const checked = validateVisitor(visitor)
      if (!checked.ok) return problem(c, 'invalid', { errors: checked.problems })
      const { find, profile } = operatorOf(c)
      const looks = whoOf(c).role === 'view'
      // It shows values.
      if (target && !looks) await act(c, 'profile_reveal')
      const [found, held] = await Promise.all([find(checked.visitor), target ? profile(checked.visitor) : undefined])
      return c.json({ ...found, ...given({ inTarget: held && shownProfile(held, looks) }) })
    },
  )
  return app
}

/** Without values for somebody who only looks: their characters are counted. */
function shownProfile(held: HeldProfile, masked: boolean) {
  if (held.kind !== 'found') return held
  const attributes = held.attributes
    .slice(0, attributesShown)
    .map(({ value, ...rest }) => (masked ? { ...rest, characters: value.length } : { ...rest, value }))
  return { ...held, attributes, ...given({ more: held.attributes.length > attributesShown || undefined }) }
}
