/**
 * The console: pages for a browser, of what `/admin/api` answers. It decides nothing by itself: each page asks that API
 * within the process, and each button sends what a command would.
 *
 * Guarantee: nobody gets in who may not use `/admin/api`. A form is taken only from a page of this relay: the browser
 * says that it is of this origin, and the form holds a keyed hash of the operator's credentials and the hour.
 * Known hole: there is no log-out from basic authentication but closing the browser.
 */
import { Hono, type MiddlewareHandler } from 'hono'
import { errorName } from '../../core/errors.ts'
import { isForeign, isRead, operatorOnly, whoOf } from '../routes/admin/access.ts'
import type { PartsOf } from '../routes/parts.ts'
import { deadLetter, planPage, stepPlan } from './dead-letter.ts'
import { deadList, deadOfVisitor, makePlan } from './dead-list.ts'
import { type Api, isOwnForm, setDesk } from './desk.ts'
import { fieldOf, readFields } from './fields.ts'
import { overview } from './overview.ts'
import { refused } from './page.ts'
import { sourceList, sourcePage, tryEvent } from './sources.ts'
import { erase, steer, steering } from './steering.ts'
import { icon, style } from './style.ts'
import { visitorFound, visitorPage } from './visitor.ts'

export type ConsoleParts = PartsOf<
  'settings' | 'operator' | 'clock' | 'authFailed' | 'log' | 'accessEmail' | 'ready' | 'sources'
>

/** No script at all, and nothing from elsewhere. */
const policy =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

const headers: MiddlewareHandler = async (c, next) => {
  await next()
  c.header('content-security-policy', policy)
  // With none at all a browser would hide the origin of a form.
  c.header('referrer-policy', 'same-origin')
  c.header('cross-origin-opener-policy', 'same-origin')
  c.header('cross-origin-resource-policy', 'same-origin')
  c.header('x-frame-options', 'DENY')
}

/** @param api what answers as `/admin/api` does */
export function consolePages(partsOf: ConsoleParts, api: Api): Hono {
  const app = new Hono({ strict: false })
  const guards = [headers, operatorOnly(partsOf, { asksFirst: true }), desks(partsOf, api), ownForm(partsOf)]
  for (const path of ['/', '/console.css', '/icon.svg', '/visitor', '/dead/*', '/sources/*', '/steering/*'])
    app.use(path, ...guards)

  app.get('/', (c) => overview(c, partsOf(c)))
  app.get('/visitor', visitorPage)
  app.post('/visitor', visitorFound)
  app.get('/dead', deadList)
  app.post('/dead/visitor', deadOfVisitor)
  app.post('/dead/plan', makePlan)
  app.get('/dead/plans/:id', planPage)
  app.post('/dead/plans/:id/run', (c) => stepPlan(c, 'run'))
  app.post('/dead/plans/:id/cancel', (c) => stepPlan(c, 'cancel'))
  app.get('/dead/letter/:version/:name', (c) => deadLetter(c))
  app.post('/dead/letter/:version/:name/reveal', (c) => deadLetter(c, true))
  app.get('/sources', sourceList)
  app.get('/sources/:source', sourcePage)
  app.post('/sources/:source/try', tryEvent)
  app.get('/steering', steering)
  app.post('/steering/erase', erase)
  app.post('/steering/:act', steer)
  app.get('/console.css', (c) => c.body(style, 200, { 'content-type': 'text/css; charset=utf-8' }))
  app.get('/icon.svg', (c) => c.body(icon, 200, { 'content-type': 'image/svg+xml' }))
  app.onError((error, c) => {
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
    if (isRead(c)) return next()
    const refuse = (status: number, title: string) => refused(c, '', { ok: false, status, title })
    if (isForeign(c)) return refuse(403, 'This form comes from another page')
    if ((await readFields(c, partsOf(c).clock)) === undefined) return refuse(400, 'The form cannot be read')
    const isOwn = await isOwnForm(c, partsOf(c), fieldOf(c, 'token'))
    return isOwn ? next() : refuse(403, 'This form is too old: load its page again')
  }
}
