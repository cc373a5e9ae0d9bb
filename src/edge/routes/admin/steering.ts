/** `/admin/api`: what stops or starts the relay, and sets right what it can't know. */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { problem } from '../../http/problem.ts'
import { jsonBody, refuse } from '../../http/valid.ts'
import type { PartsOf } from '../parts.ts'
import { recordingActs } from './audit.ts'
import { maxBodyBytes } from './bodies.ts'

export const accountBody = z.strictObject({ client: z.string() })
export const spentBody = z.strictObject({ units: z.int().min(0) })

export function steeringApi(partsOf: PartsOf<'operator' | 'clock' | 'log'>): Hono {
  const act = recordingActs(partsOf)
  const app = new Hono({ strict: false })
  const operatorOf = (c: Context) => partsOf(c).operator
  const clockOf = (c: Context) => partsOf(c).clock

  app.post('/flush', async (c) => {
    await act(c, 'flush')
    return c.json(await operatorOf(c).flush())
  })
  app.post('/pause', async (c) => {
    await act(c, 'pause')
    await operatorOf(c).pause(true)
    return c.json({ paused: true })
  })
  app.post('/resume', async (c) => {
    await act(c, 'resume')
    await operatorOf(c).pause(false)
    return c.json({ paused: false })
  })
  app.post('/breaker/close', async (c) => {
    await act(c, 'breaker_close')
    return c.json({ closed: await operatorOf(c).closeBreaker() })
  })
  app.post('/clock/confirm', async (c) => {
    await act(c, 'clock_confirm')
    await operatorOf(c).confirmClock()
    return c.json(await operatorOf(c).usage())
  })
  app.post(
    '/account/confirm',
    jsonBody(
      () => accountBody,
      refuse('invalid', () => ({
        errors: [{ path: 'client', message: 'must be the client code that the ledger bears' }],
      })),
      { maxBytes: maxBodyBytes, clockOf },
    ),
    async (c) => {
      const { client } = c.req.valid('json')
      const message = await operatorOf(c).takeOver(client)
      if (message !== undefined) return problem(c, 'invalid', { errors: [{ path: 'client', message }] })
      // Not before: another account's ledger keeps no act.
      await act(c, 'account_confirm', { client })
      return c.json(await operatorOf(c).usage())
    },
  )
  app.post(
    '/quota/spent',
    jsonBody(
      () => spentBody,
      refuse('invalid', () => ({ errors: [{ path: 'units', message: 'must be a whole number of calls' }] })),
      { maxBytes: maxBodyBytes, clockOf },
    ),
    async (c) => {
      const { units } = c.req.valid('json')
      await act(c, 'quota_spent', { units })
      await operatorOf(c).restate(units)
      return c.json(await operatorOf(c).usage())
    },
  )
  return app
}
