/**
 * `/admin/api/*`: what an operator does. Behind `ADMIN_TOKEN`, as bearer or, for a browser, as basic with the user
 * `admin`; where none is set there is nothing here.
 *
 * A browser sends basic credentials by itself, also for a page of somebody else: so whatever changes something must be
 * JSON and come from this very origin.
 */
import { Hono, type MiddlewareHandler } from 'hono'
import * as z from 'zod'
import { movedStateReader } from '../../core/ledger/moved-state.ts'
import { ForeignStore } from '../../core/operator/owner.ts'
import { type CheckedVisitor, validateVisitor } from '../../core/update/validate.ts'
import type { AppParts } from '../app.ts'
import { verifyBasic, verifyBearer } from '../auth/tokens.ts'
import { isJson, parseJsonBody, readBody } from '../http/body.ts'
import { problem, throwsErrors } from '../http/problem.ts'

const maxBodyBytes = 16_384
/** A part of a ledger's state. */
const maxStateBytes = 4_194_304
const adminUser = 'admin'

const spentBody = z.strictObject({ units: z.int().min(0) })
const visitorBody = z.strictObject({ visitor: z.unknown() })
/** A part of a ledger's state, and the name of the HASH_KEY of the relay that it came from. */
const stateBody = z.looseObject({ hashKey: z.string() })
const eraseBody = visitorBody.extend({ cursor: z.string().optional() })

export function adminApi(parts: AppParts): Hono<{ Variables: { body: unknown } }> {
  const { operator, settings } = parts
  const app = new Hono<{ Variables: { body: unknown } }>({ strict: false })
  app.use(throwsErrors)
  app.use(async (c, next) => {
    if (settings.adminToken === undefined) return problem(c, 'not-found')
    const header = c.req.header('authorization') ?? null
    if (!(await isOperator(header, settings.adminToken))) {
      parts.unproven?.('admin', header === null ? 'header_missing' : 'mismatch')
      return problem(c, 'unauthenticated', {}, { 'www-authenticate': 'Basic realm="target-relay", charset="UTF-8"' })
    }
    return next()
  })
  app.use(ownOrigin)
  // Something that looks like a trial (`?dry_run=1`) must never be the real thing.
  app.post('*', async (c, next) =>
    new URL(c.req.url).search === ''
      ? next()
      : problem(c, 'malformed', { detail: 'This route takes no query parameters: what it takes stands in the body.' }),
  )

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
  app.post('/clock/confirm', async (c) => {
    await operator.confirmClock()
    return c.json(await operator.usage())
  })
  app.post('/quota/spent', jsonBody(parts), async (c) => {
    const body = spentBody.safeParse(c.get('body'))
    if (!body.success)
      return problem(c, 'invalid', { errors: [{ path: 'units', message: 'must be a whole number of calls' }] })
    await operator.restate(body.data.units)
    return c.json(await operator.usage())
  })
  app.post('/erase', jsonBody(parts), async (c) => {
    const body = eraseBody.safeParse(c.get('body'))
    const checked = validateVisitor(body.data?.visitor)
    if (!checked.ok) return problem(c, 'invalid', { errors: checked.problems })
    const erased = await operator.erase(checked.visitor, body.data?.cursor)
    if (erased === 'unknown_cursor')
      return problem(c, 'invalid', {
        errors: [{ path: 'cursor', message: 'is none that an erasure of this visitor gave' }],
      })
    return c.json(erased)
  })
  // A visitor's id has no place in a URL.
  app.post('/visitor', jsonBody(parts), async (c) => {
    const checked = visitorOf(c.get('body'))
    return checked.ok
      ? c.json(await operator.find(checked.visitor))
      : problem(c, 'invalid', { errors: checked.problems })
  })
  app.get('/ledger/state', async (c) =>
    c.json({ ...(await operator.moveOut(c.req.query('cursor'))), hashKey: await operator.hashKeyName() }),
  )
  app.post('/ledger/state', jsonBody(parts, maxStateBytes), async (c) => {
    const body = stateBody.safeParse(c.get('body'))
    if (!body.success)
      return problem(c, 'invalid', { errors: [{ path: '', message: 'must be a part of a ledger that was exported' }] })
    const { hashKey, ...part } = body.data
    if (hashKey !== (await operator.hashKeyName()))
      return problem(c, 'invalid', {
        errors: [{ path: 'hashKey', message: 'is of another HASH_KEY than that of this relay' }],
      })
    const checked = movedStateReader(parts.clock.now())(part)
    if (!checked.ok)
      return problem(c, 'invalid', { errors: [{ path: '', message: `is no part of a ledger: ${checked.problem}` }] })
    await operator.moveIn(checked.state)
    return c.json(await operator.usage())
  })
  app.post('/ledger/restored', async (c) => {
    await operator.restored()
    return c.json(await operator.usage())
  })
  // The ledger or the store did not answer: nothing about why, but for what an operator must mend.
  app.onError((error, c) =>
    error instanceof ForeignStore ? problem(c, 'misconfigured', { detail: error.message }) : problem(c, 'unavailable'),
  )
  return app
}

/** Something that changes nothing may come from anywhere that holds the token; the rest only from here. */
const ownOrigin: MiddlewareHandler = async (c, next) => {
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return next()
  const origin = c.req.header('origin')
  const site = c.req.header('sec-fetch-site')
  const foreign =
    (origin !== undefined && origin !== new URL(c.req.url).origin) || (site !== undefined && site !== 'same-origin')
  // A form can't send JSON, so that a page without scripts can do nothing either.
  if (foreign || !isJson(c.req.header('content-type') ?? null))
    return problem(c, foreign ? 'browser' : 'unsupported-media-type')
  return next()
}

function visitorOf(body: unknown): CheckedVisitor {
  const parsed = visitorBody.safeParse(body)
  return validateVisitor(parsed.success ? parsed.data.visitor : undefined)
}

function jsonBody({ clock }: AppParts, maxBytes = maxBodyBytes): MiddlewareHandler<{ Variables: { body: unknown } }> {
  return async (c, next) => {
    const read = await readBody(c.req.raw, maxBytes, clock)
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
