/**
 * `GET|POST /m2/{client}/profile/update`: the API's own shape. A caller of Adobe's page changes the host and adds a
 * token, and is answered in Target's XML.
 */
import type { Context } from 'hono'
import type { Receipt } from '../../core/delivery/receipt.ts'
import { bearerChallenge, laneOfBearer } from '../auth/tokens.ts'
import { decodeUtf8, readBody } from '../http/body.ts'
import { decodeForm, isForm } from '../http/form.ts'
import { comeBackSeconds, type ProblemType, problemStatus, problemTitle } from '../http/problem.ts'
import { withoutPlace } from '../http/under-way.ts'
import { type AppParts, apiSource } from './parts.ts'

/** As large as Adobe's limit for a POST. A larger update than Target takes in one call is split by the relay. */
const maxFormBytes = 1_048_576
const prefix = 'profile.'

export async function takeDropIn(
  c: Context,
  parts: Pick<AppParts, 'settings' | 'clock' | 'prepare' | 'deliver' | 'authFailed'>,
  client: string,
): Promise<Response> {
  if (client !== parts.settings.targetClientCode && client !== 'client')
    return failure(
      c,
      'not-found',
      "the path names another client code than the relay's (TARGET_CLIENT_CODE), or the literal client",
    )
  const granted = await laneOfBearer(c.req.header('authorization') ?? null, parts.settings.apiTokens)
  if ('why' in granted) {
    parts.authFailed?.(apiSource, granted.why)
    // A relay that has no tokens cannot tell who asks: nobody is refused for good.
    return failure(c, granted.why === 'no_secret' ? 'unavailable' : 'unauthenticated')
  }
  // A HEAD only reads, and a GET here writes.
  if (c.req.method === 'HEAD') return failure(c, 'method-not-allowed')
  const arrivalMs = parts.clock.now()
  const forms: (string | undefined)[] = [new URL(c.req.url).search.slice(1)]
  if (c.req.method === 'POST') {
    const read = await withoutPlace(c, () => readBody(c.req.raw, maxFormBytes, parts.clock))
    if (!read.ok) return failure(c, read.problem)
    if (read.bytes.byteLength > 0 && !isForm(c.req.header('content-type') ?? null))
      return failure(c, 'unsupported-media-type', 'the body must be a form')
    forms.push(decodeUtf8(read.bytes))
  }
  const pairs = forms.map((form) => (form === undefined ? undefined : decodeForm(form)))
  if (pairs.some((some) => some === undefined))
    return failure(c, 'malformed', 'the parameters are not URL-encoded UTF-8')

  const visitor: Record<string, string> = {}
  // A map keeps the last of repeated names.
  const attributes = new Map<string, string>()
  for (const [name, value] of pairs.flatMap((some) => some ?? [])) {
    if (name === 'mboxPC') visitor['pcId'] = value
    else if (name === 'mbox3rdPartyId') visitor['thirdPartyId'] = value
    else if (name.startsWith(prefix)) attributes.set(name.slice(prefix.length), value)
    else return failure(c, 'invalid', 'parameters are mboxPC or mbox3rdPartyId, and profile.<name>')
  }
  const prepared = await parts.prepare(
    { visitor, attributes: Object.fromEntries(attributes) },
    { source: apiSource, arrivalMs },
  )
  if (!prepared.ok)
    return failure(c, 'invalid', prepared.problems.map(({ path, message }) => `${path} ${message}`).join('; '))
  const [receipt] = await parts.deliver([prepared.update], granted.lane)
  return receipt === undefined ? failure(c, 'internal') : answer(c, receipt)
}

function answer(c: Context, receipt: Receipt): Response {
  switch (receipt.status) {
    case 'submitted':
    case 'duplicate':
    case 'superseded':
    case 'unchanged':
      return xml(c, 200, true, 'Request successfully submitted')
    case 'deferred':
      return xml(c, 202, true, 'Request successfully submitted')
    case 'rejected':
      return xml(c, 200, false, receipt.detail ?? 'Target rejected the update')
    case 'set_aside':
      return xml(c, 202, false, `The update was set aside, Target was not asked: ${receipt.reason}`)
    case 'in_flight':
      return failure(c, 'in-flight')
    // These updates have no ids.
    case 'id_reused':
    case 'unavailable':
      return failure(c, 'unavailable')
  }
}

/** The answer to a request that came when too many were under way. */
export function refuseDropIn(c: Context): Response {
  return failure(c, 'unavailable')
}

function failure(c: Context, type: ProblemType, detail = problemTitle(type)): Response {
  if (type === 'method-not-allowed') c.header('allow', 'GET, POST')
  if (type === 'unauthenticated') c.header('www-authenticate', bearerChallenge)
  if (type === 'unavailable' || type === 'in-flight') c.header('retry-after', String(comeBackSeconds))
  return xml(c, problemStatus(type), false, detail)
}

/** Target's envelope, as its documentation shows it. */
function xml(
  c: Context,
  status: 200 | 202 | ReturnType<typeof problemStatus>,
  success: boolean,
  message: string,
): Response {
  const escaped = message.replace(/[<>&"]/g, (char) => `&#${char.charCodeAt(0)};`)
  return c.body(
    `<response><success>${success}</success><pcId></pcId><message>${escaped}</message></response>`,
    status,
    {
      'content-type': 'application/xml; charset=utf-8',
    },
  )
}
