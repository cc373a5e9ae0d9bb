/** The profile fetch, and the control API under `/__emulator/` (docs/cli.md). */
import type { ServerResponse } from 'node:http'
import type { Fault } from './faults.ts'
import type { Profiles } from './profiles.ts'
import { json } from './respond.ts'
import type { UpdateEndpoint } from './update-endpoint.ts'

const profileRoute = '/rest/v1/profiles/'
const controlRoute = '/__emulator/'

export interface Asked {
  readonly method: string | undefined
  readonly url: URL
  readonly body: Buffer
  readonly clientCode: string
  readonly nowMs: number
}

/** @throws SyntaxError where the body of a control is no JSON */
export function answerOther(endpoint: UpdateEndpoint, asked: Asked, response: ServerResponse): void {
  const { pathname } = asked.url
  if (pathname.startsWith(profileRoute)) return fetchProfile(endpoint.profiles, asked, response)
  if (pathname.startsWith(controlRoute)) return control(endpoint, asked, response)
  return json(response, 404, { status: 404, message: 'not found' })
}

function fetchProfile(profiles: Profiles, { url, clientCode }: Asked, response: ServerResponse): void {
  const client = url.searchParams.get('client')
  const [first = '', second] = url.pathname.slice(profileRoute.length).split('/').map(decodeURIComponent)
  const byThirdParty = first === 'thirdPartyId'
  const visitor = byThirdParty ? `3p:${second ?? ''}` : `pc:${first}`
  const profile = client === clientCode ? profiles.get(visitor) : undefined
  if (profile === undefined) {
    const by = byThirdParty ? `third party id=${second ?? ''}` : `mboxPC=${first}`
    return json(response, 404, { status: 404, message: `No profile found for client ${client ?? ''} with ${by}` })
  }
  const attributes = [...profile.attributes].map(([name, { value, modifiedAtMs }]) => [
    name,
    { value, modifiedAt: new Date(modifiedAtMs).toISOString() },
  ])
  return json(response, 200, {
    client: clientCode,
    visitorId: byThirdParty ? { thirdPartyId: second } : { tntId: first },
    modifiedAt: new Date(profile.modifiedAtMs).toISOString(),
    profileAttributes: Object.fromEntries(attributes),
  })
}

function control(endpoint: UpdateEndpoint, { method, url, body, nowMs }: Asked, response: ServerResponse): void {
  switch (`${method} ${url.pathname.slice(controlRoute.length)}`) {
    case 'GET statistics':
      return json(response, 200, endpoint.statistics())
    case 'GET profile': {
      const values = endpoint.profiles.values(url.searchParams.get('visitor') ?? '')
      return json(response, values === undefined ? 404 : 200, values ?? { message: 'nobody is known by that id' })
    }
    case 'POST seed': {
      const { visitor, attributes = {} } = JSON.parse(body.toString('utf8')) as {
        visitor: string
        attributes?: Record<string, string>
      }
      endpoint.profiles.seed(visitor, attributes, nowMs)
      return json(response, 200, {})
    }
    case 'POST faults':
      endpoint.faults.add(JSON.parse(body.toString('utf8')) as Fault)
      return json(response, 200, {})
    case 'DELETE faults':
      endpoint.faults.clear()
      return json(response, 200, {})
    case 'POST reset':
      endpoint.reset()
      return json(response, 200, {})
    default:
      return json(response, 404, { message: 'no such control' })
  }
}
