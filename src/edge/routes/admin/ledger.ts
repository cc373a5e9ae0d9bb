/** `/admin/api/ledger/*`: a ledger's state on its way into another ledger, part by part. */
import { zValidator } from '@hono/zod-validator'
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { movedStateReader } from '../../../core/ledger/moved-state.ts'
import { problem } from '../../http/problem.ts'
import { jsonBody, refuse } from '../../http/valid.ts'
import type { PartsOf } from '../parts.ts'
import { recordingActs } from './audit.ts'

/** A part of a ledger's state. */
const maxStateBytes = 4_194_304
/** A part of a ledger's state, and the name of the HASH_KEY of the relay that it came from. */
export const stateBody = z.looseObject({ hashKey: z.string() })

export const stateQuery = z.looseObject({ cursor: z.string().optional() })

export function ledgerApi(partsOf: PartsOf<'operator' | 'clock' | 'log'>): Hono {
  const act = recordingActs(partsOf)
  const app = new Hono({ strict: false })
  const operatorOf = (c: Context) => partsOf(c).operator
  const clockOf = (c: Context) => partsOf(c).clock
  app.get(
    '/state',
    zValidator('query', stateQuery, refuse('malformed', { detail: 'The query parameter cursor is given once.' })),
    async (c) => {
      const { cursor } = c.req.valid('query')
      // It names every visitor, by hash.
      await act(c, 'ledger_export', {}, { goesOn: cursor !== undefined })
      const part = await operatorOf(c).moveOut(cursor)
      return c.json({ ...part, hashKey: await operatorOf(c).hashKeyName() })
    },
  )
  app.post(
    '/state',
    jsonBody(
      () => stateBody,
      refuse('invalid', () => ({ errors: [{ path: '', message: 'must be a part of a ledger that was exported' }] })),
      { maxBytes: maxStateBytes, clockOf },
    ),
    async (c) => {
      const operator = operatorOf(c)
      const { hashKey, ...part } = c.req.valid('json')
      if (hashKey !== (await operator.hashKeyName()))
        return problem(c, 'invalid', {
          errors: [{ path: 'hashKey', message: 'is of another HASH_KEY than that of this relay' }],
        })
      const checked = movedStateReader(clockOf(c).now())(part)
      if (!checked.ok)
        return problem(c, 'invalid', { errors: [{ path: '', message: `is no part of a ledger: ${checked.problem}` }] })
      await act(c, 'ledger_import', {}, { goesOn: true })
      await operator.moveIn(checked.state)
      return c.json(await operator.usage())
    },
  )
  app.post('/restored', async (c) => {
    await act(c, 'ledger_restored')
    await operatorOf(c).restored()
    return c.json(await operatorOf(c).usage())
  })
  return app
}
