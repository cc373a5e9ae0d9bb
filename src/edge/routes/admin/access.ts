/**
 * Who may use `/admin/api`. Authenticated by a token of `ADMIN_TOKEN` or `VIEW_TOKEN`, as bearer or, for a browser, as
 * basic; or by Cloudflare Access. Without any of these settings these routes answer 404.
 *
 * A browser sends basic credentials and those of Access by itself, also for a page of somebody else. So a request that
 * changes something must then be JSON; and it never comes from another origin.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { operatorByAccess, operatorOf, type Who } from '../../auth/operators.ts'
import { isJson } from '../../http/body.ts'
import { problem } from '../../http/problem.ts'
import { adminName, type PartsOf } from '../parts.ts'

/** Thrown where somebody who only looks asks for more. */
export class ViewOnly extends Error {
  override readonly name = 'ViewOnly'
}

const whoKey = 'who'

/** Who asks; behind `operatorOnly`. */
export function whoOf(c: Context): Who {
  return c.get(whoKey) as Who
}

/**
 * Answers 401 to anybody who is no operator, and 404 where there is none.
 *
 * @param asksFirst a browser asks without credentials first: that is no failure
 */
export function operatorOnly(
  partsOf: PartsOf<'settings' | 'authFailed' | 'accessEmail'>,
  { asksFirst = false } = {},
): MiddlewareHandler {
  return async (c, next) => {
    const { settings, authFailed, accessEmail } = partsOf(c)
    const { operators = [], adminAccess = [] } = settings
    if (operators.length === 0 && adminAccess.length === 0) return problem(c, 'not-found')
    const header = c.req.header('authorization') ?? null
    const who = (await operatorOf(header, operators)) ?? (await operatorByAccess(accessEmail, adminAccess))
    if (who === undefined) {
      if (header !== null || !asksFirst) authFailed?.(adminName, header === null ? 'header_missing' : 'mismatch')
      return problem(c, 'unauthenticated', {}, { 'www-authenticate': 'Basic realm="target-relay", charset="UTF-8"' })
    }
    c.set(whoKey, who)
    return next()
  }
}

/**
 * Reads may come from any operator; writes only from this origin (CSRF). A browser's own word for it (Fetch Metadata)
 * decides where it is there. Without it the hosts are compared, not the schemes: a proxy that ends TLS asks over http.
 */
export const ownOrigin: MiddlewareHandler = async (c, next) => {
  if (isRead(c)) return next()
  if (isForeign(c)) return problem(c, 'browser')
  // A form can't send JSON, so that a page without scripts can do nothing either.
  if (whoOf(c).byItself && !isJson(c.req.header('content-type') ?? null)) return problem(c, 'unsupported-media-type')
  return next()
}

/** Whether a browser asks from a page of another origin. */
export function isForeign(c: Context): boolean {
  const origin = c.req.header('origin')
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined) return site !== 'same-origin'
  return origin !== undefined && URL.parse(origin)?.host !== new URL(c.req.url).host
}

/**
 * Keeps those who only look from all that is no read.
 *
 * @param looks paths behind `/admin/api` that are reads although they are asked with a body
 */
export function looksOnly(looks: ReadonlySet<string>): MiddlewareHandler {
  return async (c, next) => {
    const path = c.req.path.replace(/^.*\/admin\/api(?=\/)/, '').replace(/\/$/, '')
    if (whoOf(c).role === 'view' && !isRead(c) && !looks.has(path)) throw new ViewOnly()
    return next()
  }
}

export function isRead(c: Context): boolean {
  return c.req.method === 'GET' || c.req.method === 'HEAD'
}
