/**
 * `/admin/api/*`: what an operator does. Behind `ADMIN_TOKEN`, as bearer or, for a browser, as basic with the user
 * `admin`; where none is set there is nothing here.
 *
 * A browser sends basic credentials by itself, also for a page of somebody else: so whatever changes something must be
 * JSON and come from this very origin.
 */
import { Hono, type MiddlewareHandler } from 'hono'
import * as z from 'zod'
import { validateVisitor } from '../core/validate.ts'
import type { AppParts } from './app.ts'
import { verifyBasic, verifyBearer } from './auth/tokens.ts'
import { isJson, parseJsonBody, readBody } from './body.ts'
import { problem } from './problem.ts'

const maxBodyBytes = 16_384
const adminUser = 'admin'

const spentBody = z.strictObject({ units: z.int().min(0) })
const eraseBody = z.strictObject({ visitor: z.unknown() })

export function adminApi(parts: AppParts): Hono<{ Variables: { body: unknown } }> {
  const { operator, settings } = parts
  const app = new Hono<{ Variables: { body: unknown } }>()
  app.use(async (c, next) => {
    if (settings.adminToken === undefined) return problem(c, 'not-found')
    if (!(await isOperator(c.req.header('authorization') ?? null, settings.adminToken)))
      return problem(c, 'unauthenticated', {}, { 'www-authenticate': 'Basic realm="target-relay", charset="UTF-8"' })
    return next()
  })
  app.use(ownOrigin)

  app.get('/status', async (c) => c.json(await operator.usage()))
  app.post('/flush', async (c) => c.json(await operator.flush()))
  app.post('/pause', async (c) => {
    await operator.pause(true)
    return c.json({ paused: true })
  })
  app.post('/resume', async (c) => {
    await operator.pause(false)
    return c.json({ paused: false })
  })
  app.post('/quota/spent', jsonBody(parts), async (c) => {
    const body = spentBody.safeParse(c.get('body'))
    if (!body.success) return problem(c, 'invalid', { errors: [{ path: 'units', message: 'must be a whole number of calls' }] })
    await operator.restate(body.data.units)
    return c.json(await operator.usage())
  })
  app.post('/erase', jsonBody(parts), async (c) => {
    const body = eraseBody.safeParse(c.get('body'))
    const checked = validateVisitor(body.success ? body.data.visitor : undefined)
    if (!checked.ok) return problem(c, 'invalid', { errors: checked.problems })
    return c.json(await operator.erase(checked.visitor))
  })
  // The ledger or the store did not answer: nothing about why.
  app.onError((_error, c) => problem(c, 'unavailable'))
  return app
}

/** Something that changes nothing may come from anywhere that holds the token; the rest only from here. */
const ownOrigin: MiddlewareHandler = async (c, next) => {
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return next()
  const origin = c.req.header('origin')
  const site = c.req.header('sec-fetch-site')
  const foreign = (origin !== undefined && origin !== new URL(c.req.url).origin) || (site !== undefined && site !== 'same-origin')
  // A form can't send JSON, so that a page without scripts can do nothing either.
  if (foreign || !isJson(c.req.header('content-type') ?? null)) return problem(c, foreign ? 'browser' : 'unsupported-media-type')
  return next()
}

function jsonBody({ clock }: AppParts): MiddlewareHandler<{ Variables: { body: unknown } }> {
  return async (c, next) => {
    const read = await readBody(c.req.raw, maxBodyBytes, clock)
    if (!read.ok) return problem(c, read.problem)
    const body = parseJsonBody(read.bytes)
    if (body === undefined) return problem(c, 'malformed', { detail: 'The body is not JSON.' })
    c.set('body', body)
    return next()
  }
}

async function isOperator(header: string | null, token: string): Promise<boolean> {
  return (await verifyBearer(header, [token])) || (await verifyBasic(header, [`${adminUser}:${token}`]))
}
