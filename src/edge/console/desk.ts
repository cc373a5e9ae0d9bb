/** What each page of the console has at hand: who looks, the API that answers, and where links lead. */
import type { Context } from 'hono'
import { given } from '../../core/given.ts'
import type { Who } from '../auth/operators.ts'
import type { PartsOf } from '../routes/parts.ts'

/** What the API said. A page shows what it can. */
export type Told<Body> =
  | { readonly ok: true; readonly body: Body }
  | {
      readonly ok: false
      readonly status: number
      readonly title: string
      readonly detail?: string
      readonly errors?: readonly { readonly path: string; readonly message: string }[]
    }

export interface Desk {
  readonly who: Who
  /** Where nothing is to be pressed. */
  readonly looksOnly: boolean
  /** From this page to those below the console's first, ending with a slash: it may be mounted anywhere. */
  readonly root: string
  /** To its first. Without a slash at its end, which an app in front may take for another route. */
  readonly home: string
  readonly nowMs: number
  /** The client code. */
  readonly client: string
  /** For the forms of this page. */
  readonly token: string
  /** @param path behind `/admin/api` @param body makes it a POST */
  ask<Body>(path: string, body?: object): Promise<Told<Body>>
}

/** What answers as `/admin/api` does. */
export interface Api {
  fetch(request: Request, env: unknown): Response | Promise<Response>
}

const key = 'desk'

export function deskOf(c: Context): Desk {
  return c.get(key) as Desk
}

export async function setDesk(
  c: Context,
  { settings, operator, clock }: ReturnType<PartsOf<'settings' | 'operator' | 'clock'>>,
  { who, api }: { readonly who: Who; readonly api: Api },
): Promise<void> {
  const nowMs = clock.now()
  const desk: Desk = {
    who,
    looksOnly: who.role === 'view',
    ...waysOf(c),
    nowMs,
    client: settings.targetClientCode,
    token: await formToken(c, operator, hourOf(nowMs)),
    ask: (path, body) => ask(c, api, path, body),
  }
  c.set(key, desk)
}

/** Whether a form was made by this relay, for this operator, within the last two hours. */
export async function isOwnForm(
  c: Context,
  { operator, clock }: ReturnType<PartsOf<'operator' | 'clock'>>,
  token: string,
): Promise<boolean> {
  const hour = hourOf(clock.now())
  const own = await Promise.all([hour, hour - 1].map((one) => formToken(c, operator, one)))
  return own.includes(token)
}

/** Bound to the credentials themselves: two operators of one name have two. */
function formToken(
  c: Context,
  { formHash }: Pick<ReturnType<PartsOf<'operator'>>['operator'], 'formHash'>,
  hour: number,
) {
  return formHash([c.req.header('authorization') ?? whoseKey(c), String(hour)])
}

/** Of who came through Access: its own name. */
function whoseKey(c: Context): string {
  return (c.get('who') as Who).name
}

function hourOf(ms: number): number {
  return Math.floor(ms / 3_600_000)
}

async function ask<Body>(c: Context, api: Api, path: string, body: object | undefined): Promise<Told<Body>> {
  const { origin } = new URL(c.req.url)
  const authorization = c.req.header('authorization')
  const headers = { 'content-type': 'application/json', ...given({ authorization }) }
  const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
  const answer = await api.fetch(new Request(`${origin}${path}`, init), c.env)
  const said = (await answer.json()) as Body & { title?: string; detail?: string; errors?: [] }
  if (answer.ok) return { ok: true, body: said }
  const { title = 'Something went wrong here', detail, errors } = said
  return { ok: false, status: answer.status, title, ...given({ detail, errors }) }
}

/** Relative, since an app in front may have taken a prefix away. */
function waysOf(c: Context): Pick<Desk, 'root' | 'home'> {
  // As the browser has it, with a slash at its end: hono's own path has none. Nothing below the console has its name.
  const { pathname } = new URL(c.req.url)
  const rest = pathname.slice(pathname.lastIndexOf('/admin') + '/admin'.length)
  if (rest === '') return { root: 'admin/', home: 'admin' }
  const depth = rest.split('/').length - 2
  return { root: depth === 0 ? './' : '../'.repeat(depth), home: `${'../'.repeat(depth + 1)}admin` }
}
