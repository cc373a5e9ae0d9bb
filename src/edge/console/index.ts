/**
 * The console: pages for a browser, of what `/admin/api` answers. It decides nothing by itself: each page asks that API
 * within the process, and each button sends what a command would.
 *
 * Guarantee: nobody gets in who may not use `/admin/api`. A form is taken only from a page of this relay: the browser
 * says that it is of this origin, and the form holds a keyed hash of the operator's credentials and the hour.
 * Known hole: there is no log-out from basic authentication but closing the browser.
 */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { csrf } from 'hono/csrf'
import { HTTPException } from 'hono/http-exception'
import { secureHeaders } from 'hono/secure-headers'
import { errorName } from '../../core/errors.ts'
import { decodeUtf8, readBody } from '../http/body.ts'
import { decodeForm, isForm } from '../http/form.ts'
import { operatorOnly, whoOf } from '../routes/admin/access.ts'
import type { PartsOf } from '../routes/parts.ts'
import { type Api, deskOf, isOwnForm, setDesk } from './desk.ts'
import { overview } from './overview.ts'
import { notice, page, refusal } from './page.ts'
import { icon, style } from './style.ts'

export type ConsoleParts = PartsOf<
  'settings' | 'operator' | 'clock' | 'authFailed' | 'log' | 'accessEmail' | 'ready' | 'sources'
>

/** A pasted event, and up to 1,000 keys of letters. */
const maxFormBytes = 262_144

const headers = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
  },
  // With none at all a browser would hide the origin of a form.
  referrerPolicy: 'same-origin',
  xFrameOptions: 'DENY',
  // Whether the whole host speaks TLS only is its owner's matter.
  strictTransportSecurity: false,
})

/** @param api what answers as `/admin/api` does */
export function consolePages(partsOf: ConsoleParts, api: Api): Hono {
  const app = new Hono({ strict: false })
  const guards = [headers, csrf(), operatorOnly(partsOf), desks(partsOf, api), ownForm(partsOf)]
  for (const path of ['/', '/console.css', '/icon.svg', '/visitor', '/dead/*', '/sources/*', '/steering/*'])
    app.use(path, ...guards)

  app.get('/', (c) => overview(c, partsOf(c)))
  app.get('/console.css', (c) => c.body(style, 200, { 'content-type': 'text/css; charset=utf-8' }))
  app.get('/icon.svg', (c) => c.body(icon, 200, { 'content-type': 'image/svg+xml' }))
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse()
    partsOf(c).log?.('request_failed', { error: errorName(error) })
    return c.text('Something went wrong here.', 500)
  })
  return app
}

function desks(partsOf: ConsoleParts, api: Api): MiddlewareHandler {
  return async (c, next) => {
    await setDesk(c, partsOf(c), { who: whoOf(c), api })
    return next()
  }
}

/** Reads the form of a POST, and refuses one that this relay did not make. */
function ownForm(partsOf: ConsoleParts): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.method === 'GET' || c.req.method === 'HEAD') return next()
    const desk = deskOf(c)
    const form = await readForm(c, partsOf(c).clock)
    if (form === undefined) return c.html(refusal(desk, '', { ok: false, status: 400, title: 'The form cannot be read' }), 400)
    if (!(await isOwnForm(c, partsOf(c), form.get('token')?.[0] ?? '')))
      return c.html(
        page(desk, { at: '', title: 'This form is too old' }, notice('fail', 'Nothing was done. Go back, load the page again, and repeat it.')),
        403,
      )
    c.set(formKey, form)
    return next()
  }
}

export type Fields = ReadonlyMap<string, readonly string[]>
const formKey = 'form'

/** The fields of the form that was sent. */
export function fieldsOf(c: Context): Fields {
  return c.get(formKey) as Fields
}

async function readForm(c: Context, clock: Parameters<typeof readBody>[2]): Promise<Fields | undefined> {
  if (!isForm(c.req.header('content-type') ?? null)) return undefined
  const read = await readBody(c.req.raw, maxFormBytes, clock)
  const pairs = read.ok ? decodeForm(decodeUtf8(read.bytes) ?? '%') : undefined
  if (pairs === undefined) return undefined
  const fields = new Map<string, string[]>()
  for (const [name, value] of pairs) fields.set(name, [...(fields.get(name) ?? []), value])
  return fields
}
