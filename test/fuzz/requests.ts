/** The fuzz's requests: odd ones that are authenticated, and arbitrary ones. */
import { deflateSync, gzipSync } from 'node:zlib'
import { cases, type RawRequest, requestOf } from '../corpus/corpus.ts'
import { testSecrets } from '../support/secrets.ts'
import type { Draw } from './draw.ts'
import { mutateBytes, mutateText } from './mutate.ts'

export const plainSecret = 'the-bearer-of-the-fuzz'
/** Occurs in values only: no problem answered to a webhook may repeat it. */
export const canary = 'canary-77134'
const host = 'relay.example'

/** Their authentication depends on how the body is read, so a changed body cannot be signed as the vendor would. */
const readsBody = new Set(['mailgun', 'twilio'])
const signedCases = cases.filter(({ folder }) => !readsBody.has(folder))

const contentTypes = [
  ...[
    'application/json',
    'APPLICATION/JSON',
    'application/json;charset="utf-8"',
    'application/json; charset=utf-16',
    'text/plain; charset=UTF-8',
  ],
  ...[
    'application/cloudevents+json',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    '',
  ],
  ...[
    'application/octet-stream',
    'text/xml',
    ' ; ',
    'application/json, text/plain',
    'application/ld+json; profile="x"',
  ],
]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY', 'X']
const paths = [
  ...[
    '/',
    '/healthz',
    '/readyz',
    '/v1/updates',
    '/v1',
    '/hooks',
    '/hooks/',
    '/hooks/nobody',
    '/hooks/plain',
    '/hooks/plain-form',
    '/hooks/stripe',
  ],
  ...[
    '/m2/demo/profile/update',
    '/m2/client/profile/update',
    '/m2/other/profile/update',
    '/admin/api/status',
    '/admin/api/erase',
    '/admin',
  ],
  ...['/openapi.json', '/favicon.ico', '/.env', '/hooks/__proto__', '/hooks/constructor'],
]
const tails = [
  '',
  '',
  '',
  '/',
  '//',
  '?',
  '?dry_run=1',
  '?dry_run=yes',
  '?dry_run',
  '?dry_run=1&dry_run=0',
  '?%',
  '?a=%zz',
  '/..',
  '/%2e%2e',
  '%00',
  '?mboxPC=1.2&profile.a=b',
]
const apiBodies = [
  `{"id":"e1","visitor":{"thirdPartyId":"v1"},"attributes":{"tier":"${canary}"},"occurredAt":"2026-09-21T12:00:00Z"}`,
  `{"updates":[{"visitor":{"thirdPartyId":"v1"},"attributes":{"a":1,"b":{"c":true}}},{"visitor":{"pcId":"12.34_5"},"attributes":{"d":[1]}}]}`,
  `mbox3rdPartyId=v1&profile.tier=${canary}&profile.name=%C3%A9+x`,
  '{"id":"e2","visitor":{"thirdPartyId":"v2"},"attributes":{"order":820982911946154508}}',
]

const with_ = (headers: RawRequest['headers'], name: string, value: string): RawRequest['headers'] => [
  ...headers.filter(([other]) => other !== name),
  [name, value],
]

/** An event, however odd, that its sender signed or that has its token. */
export async function provenRequest(draw: Draw, nowMs: number): Promise<RawRequest> {
  const plain = draw.chance(0.4)
  const request = plain ? plainRequest(draw) : await signedRequest(draw, nowMs)
  if (!draw.chance(0.3)) return request
  return { ...request, headers: with_(request.headers, 'content-type', draw.pick(contentTypes)) }
}

async function signedRequest(draw: Draw, nowMs: number): Promise<RawRequest> {
  const one = draw.pick(signedCases)
  const [head = '', ...rest] = one.text.split('\n\n')
  const body = rest.join('\n\n')
  const changed = draw.chance(0.8) ? mutateText(draw, body) : body
  // Some vendors' libraries cannot sign an empty body.
  return requestOf({ ...one, text: `${head}\n\n${changed === '' ? body : changed}` }, nowMs, host)
}

function plainRequest(draw: Draw): RawRequest {
  const { text } = draw.pick(cases)
  const isForm = draw.chance(0.3)
  const start = Buffer.from(isForm ? (apiBodies[2] ?? '') : text.slice(text.indexOf('\n\n') + 2))
  const body = draw.chance(0.8) ? mutateBytes(draw, start) : start
  const [encoding, encoded] = draw.pick<readonly [string, Buffer]>([
    ...Array.from({ length: 6 }, () => ['', body] as const),
    ['gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['gzip', mutateBytes(draw, gzipSync(body))],
    ['br', body],
    ['identity', body],
  ])
  return {
    method: 'POST',
    path: isForm ? '/hooks/plain-form' : '/hooks/plain',
    headers: [
      ['host', host],
      ['authorization', `Bearer ${plainSecret}`],
      ['content-type', isForm ? 'application/x-www-form-urlencoded' : 'application/json'],
      ...(encoding === '' ? [] : [['content-encoding', encoding] as const]),
      ['content-length', String(encoded.length)],
    ],
    body: encoded,
  }
}

/** Any request: one of the corpus that was changed after signing, or one that no sender would make. */
export async function anyRequest(draw: Draw, nowMs: number): Promise<RawRequest> {
  if (draw.chance(0.4)) {
    const request = await requestOf(draw.pick(cases), nowMs, host)
    return spoil(draw, request)
  }
  const request = draw.chance(0.5) ? ownRequest(draw) : oddRequest(draw)
  return draw.chance(0.3) ? spoil(draw, request) : request
}

/** A request as a system of the deployer sends it, with a changed body. */
function ownRequest(draw: Draw): RawRequest {
  const start = draw.pick(apiBodies)
  const isForm = start.startsWith('mbox')
  return made({
    method: 'POST',
    path: isForm ? '/m2/demo/profile/update' : '/v1/updates',
    token: testSecrets.apiToken,
    type: isForm ? 'application/x-www-form-urlencoded' : 'application/json',
    body: draw.chance(0.8) ? mutateText(draw, start) : start,
  })
}

function oddRequest(draw: Draw): RawRequest {
  return made({
    method: draw.chance(0.7) ? 'POST' : draw.pick(methods),
    path: draw.pick(paths) + draw.pick(tails),
    token: draw.pick([testSecrets.apiToken, testSecrets.apiToken, plainSecret, 'nobody', '']),
    type: draw.pick(contentTypes),
    body: draw.chance(0.7) ? mutateText(draw, draw.pick(apiBodies)) : draw.pick(apiBodies),
  })
}

function made(request: Readonly<Record<'method' | 'path' | 'token' | 'type' | 'body', string>>): RawRequest {
  const body = Buffer.from(request.body)
  return {
    method: request.method,
    path: request.path,
    headers: [
      ['host', host],
      ['authorization', `Bearer ${request.token}`],
      ['content-type', request.type],
      ['content-length', String(body.length)],
    ],
    body,
  }
}

function spoil(draw: Draw, request: RawRequest): RawRequest {
  const [name = 'x-none', value = ''] = draw.pick(request.headers)
  switch (draw.int(7)) {
    case 0:
      return { ...request, method: draw.pick(methods) }
    case 1:
      return { ...request, path: request.path + draw.pick(tails) }
    case 2:
      return { ...request, headers: request.headers.filter(([other]) => other !== name) }
    case 3:
      return { ...request, headers: with_(request.headers, name, value.slice(0, draw.int(value.length + 1))) }
    case 4:
      return { ...request, headers: [...request.headers, [name, value]] }
    case 5:
      return {
        ...request,
        headers: with_(
          request.headers,
          draw.pick([
            'origin',
            'content-encoding',
            'transfer-encoding',
            'cookie',
            'range',
            'expect',
            'x-forwarded-host',
          ]),
          'gzip',
        ),
      }
    default:
      return { ...request, body: mutateBytes(draw, request.body) }
  }
}
