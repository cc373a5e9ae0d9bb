/**
 * Who may use `/admin/api`. Authenticated by `ADMIN_TOKEN`, as bearer or, for a browser, as basic with the user `admin`;
 * without that setting these routes answer 404.
 *
 * A browser sends basic credentials by itself, also for a page of somebody else. So a request that changes something
 * must be JSON and come from this very origin.
 */
import type { MiddlewareHandler } from 'hono'
import { verifyBasic, verifyBearer } from '../../auth/tokens.ts'
import { isJson } from '../../http/body.ts'
import { problem } from '../../http/problem.ts'
import type { PartsOf } from '../parts.ts'

const adminUser = 'admin'

/** Answers 401 to anybody who has not the token, and 404 where there is none. */
export function operatorOnly(partsOf: PartsOf<'settings' | 'authFailed'>): MiddlewareHandler {
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
export const ownOrigin: MiddlewareHandler = async (c, next) => {
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
