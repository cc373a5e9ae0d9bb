/**
 * `/admin/api/*`: what an operator does. Authenticated by `ADMIN_TOKEN`, as bearer or, for a browser, as basic with the
 * user `admin`; without that setting these routes answer 404.
 *
 * A browser sends basic credentials by itself, also for a page of somebody else. So a request that changes something
 * must be JSON and come from this very origin.
 */
import { zValidator } from '@hono/zod-validator'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import * as z from 'zod'
import { errorName } from '../../core/errors.ts'
import { movedStateReader } from '../../core/ledger/moved-state.ts'
import { ForeignStore } from '../../core/operator/owner.ts'
import { validateVisitor } from '../../core/update/validate.ts'
import { verifyBasic, verifyBearer } from '../auth/tokens.ts'
import { isJson } from '../http/body.ts'
import { problem, throwsErrors } from '../http/problem.ts'
import { jsonBody, refuse } from '../http/valid.ts'
import type { AppParts, PartsOf } from './parts.ts'

const maxBodyBytes = 16_384
/** A part of a ledger's state. */
const maxStateBytes = 4_194_304
const adminUser = 'admin'

const spentBody = z.strictObject({ units: z.int().min(0) })
const accountBody = z.strictObject({ client: z.string() })
const visitorBody = z.strictObject({ visitor: z.unknown() })
/** A part of a ledger's state, and the name of the HASH_KEY of the relay that it came from. */
const stateBody = z.looseObject({ hashKey: z.string() })
const eraseBody = visitorBody.extend({ cursor: z.string().optional() })

const notAVisitor = refuse('invalid', () => {
  const checked = validateVisitor(undefined)
  return { errors: checked.ok ? [] : checked.problems }
})

export function adminApi(partsOf: PartsOf<'settings' | 'operator' | 'clock' | 'authFailed' | 'log'>): Hono {
  const app = new Hono({ strict: false })
  const clockOf = (c: Context) => partsOf(c).clock
  const operatorOf = (c: Context) => partsOf(c).operator
  app.use(throwsErrors, operatorOnly(partsOf), ownOrigin)
  // A parameter that looks like a trial (`?dry_run=1`) must never go unnoticed.
  app.post(
    '*',
    zValidator(
      'query',
      z.strictObject({}),
      refuse('malformed', { detail: 'This route takes no query parameters: what it takes stands in the body.' }),
    ),
  )

  app.get('/status', async (c) => c.json(await operatorOf(c).usage()))
  app.post('/flush', async (c) => c.json(await operatorOf(c).flush()))
  app.post('/pause', async (c) => {
    await operatorOf(c).pause(true)
    return c.json({ paused: true })
  })
  app.post('/resume', async (c) => {
    await operatorOf(c).pause(false)
    return c.json({ paused: false })
  })
  app.post('/clock/confirm', async (c) => {
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
      const message = await operatorOf(c).takeOver(c.req.valid('json').client)
      return message === undefined
        ? c.json(await operatorOf(c).usage())
        : problem(c, 'invalid', { errors: [{ path: 'client', message }] })
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
      await operatorOf(c).restate(c.req.valid('json').units)
      return c.json(await operatorOf(c).usage())
    },
  )
  app.post(
    '/erase',
    jsonBody(() => eraseBody, notAVisitor, { maxBytes: maxBodyBytes, clockOf }),
    async (c) => {
      const { visitor, cursor } = c.req.valid('json')
      const checked = validateVisitor(visitor)
      if (!checked.ok) return problem(c, 'invalid', { errors: checked.problems })
      const erased = await operatorOf(c).erase(checked.visitor, cursor)
      if (erased === 'unknown_cursor')
        return problem(c, 'invalid', {
          errors: [{ path: 'cursor', message: 'is none that an erasure of this visitor gave' }],
        })
      return c.json(erased)
    },
  )
  // A visitor's id has no place in a URL.
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
  app.route('/ledger', ledgerApi({ clockOf, operatorOf }))
  // The ledger or the store did not answer. Only the log says why, except where an operator must fix it.
  app.onError((error, c) => {
    if (error instanceof ForeignStore) return problem(c, 'misconfigured', { detail: error.message })
    partsOf(c).log?.('request_failed', { error: errorName(error) })
    return problem(c, 'unavailable')
  })
  return app
}

/** A ledger's state on its way into another ledger, part by part. */
function ledgerApi({
  clockOf,
  operatorOf,
}: {
  clockOf: (c: Context) => AppParts['clock']
  operatorOf: (c: Context) => AppParts['operator']
}): Hono {
  const app = new Hono({ strict: false })
  app.get(
    '/state',
    zValidator(
      'query',
      z.looseObject({ cursor: z.string().optional() }),
      refuse('malformed', { detail: 'The query parameter cursor is given once.' }),
    ),
    async (c) => {
      const part = await operatorOf(c).moveOut(c.req.valid('query').cursor)
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
      await operator.moveIn(checked.state)
      return c.json(await operator.usage())
    },
  )
  app.post('/restored', async (c) => {
    await operatorOf(c).restored()
    return c.json(await operatorOf(c).usage())
  })
  return app
}

function operatorOnly(partsOf: PartsOf<'settings' | 'authFailed'>): MiddlewareHandler {
  return async (c, next) => {
    const { settings, authFailed } = partsOf(c)
    if (settings.adminToken === undefined) return problem(c, 'not-found')
    const header = c.req.header('authorization') ?? null
    if (!(await isOperator(header, settings.adminToken))) {
      authFailed?.('admin', header === null ? 'header_missing' : 'mismatch')
      return problem(c, 'unauthenticated', {}, { 'www-authenticate': 'Basic realm="target-relay", charset="UTF-8"' })
    }
    return next()
  }
}

/** Reads may come from any holder of the token; writes only from this origin (CSRF). */
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

async function isOperator(header: string | null, token: string): Promise<boolean> {
  return (await verifyBearer(header, [token])) || (await verifyBasic(header, [`${adminUser}:${token}`]))
}
