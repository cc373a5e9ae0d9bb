/** Handshakes only answer, and what they repeat is bounded. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bounded,
  boundedHeaders,
  cloudEvents,
  echoField,
  echoHeader,
  echoQuery,
  eventGrid,
  type GreetRequest,
  greetings,
  ok,
} from '../../../src/edge/source/greet.ts'

const request = (more: Partial<Omit<GreetRequest, 'headers' | 'query'>> & { headers?: HeadersInit; query?: string }) =>
  ({
    method: 'GET',
    event: undefined,
    ...more,
    headers: new Headers(more.headers),
    query: new URLSearchParams(more.query),
  }) satisfies GreetRequest

const validation = (validationCode: unknown) => [
  { eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent', data: { validationCode } },
]

describe('ready-made handshakes', () => {
  it('echoQuery repeats a parameter of a GET, as text or in JSON', () => {
    expect(echoQuery('challenge')(request({ query: 'challenge=8ec8-00' }))).toEqual({ status: 200, body: '8ec8-00' })
    expect(echoQuery('challenge', { as: 'challenge' })(request({ query: 'challenge=8ec8-00' }))).toEqual({
      status: 200,
      body: { challenge: '8ec8-00' },
    })
    expect(echoQuery('challenge')(request({ query: 'other=1' }))).toBeUndefined()
    expect(echoQuery('challenge')(request({ query: 'challenge=a&challenge=b' }))).toBeUndefined()
    expect(echoQuery('challenge')(request({ method: 'POST', query: 'challenge=a' }))).toBeUndefined()
  })

  it('echoQuery may ask for other parameters, as Meta’s verify token', () => {
    const greet = echoQuery('hub.challenge', { where: { 'hub.mode': 'subscribe', 'hub.verify_token': 'mine' } })
    expect(greet(request({ query: 'hub.mode=subscribe&hub.verify_token=mine&hub.challenge=7' }))).toMatchObject({
      body: '7',
    })
    expect(greet(request({ query: 'hub.mode=subscribe&hub.verify_token=other&hub.challenge=7' }))).toBeUndefined()
  })

  it('echoHeader repeats a header, in a header or in JSON, on later answers too where it says so', () => {
    const headers = { 'x-adobesign-clientid': 'client-1' }
    const sign = echoHeader('x-adobesign-clientid', { onAnswers: true, only: ['client-1'] })
    expect(sign(request({ headers }))).toEqual({ status: 200, headers })
    expect(sign.onAnswers?.(new Headers(headers))).toEqual(headers)
    expect(sign(request({ headers: { 'x-adobesign-clientid': 'client-2' } }))).toBeUndefined()
    expect(sign.onAnswers?.(new Headers({ 'x-adobesign-clientid': 'client-2' }))).toEqual({})
    expect(sign(request({}))).toBeUndefined()
    expect(sign(request({ method: 'POST', headers }))).toBeUndefined()
    const okta = echoHeader('x-okta-verification-challenge', { as: 'verification' })
    expect(okta(request({ headers: { 'x-okta-verification-challenge': 'abc' } }))).toEqual({
      status: 200,
      body: { verification: 'abc' },
    })
    expect(okta.onAnswers).toBeUndefined()
  })

  it('echoQuery and echoHeader answer a POST where they are told, and then no GET', () => {
    const words = 'Validation: Testing client application reachability for subscription Request-Id: 461d95ee'
    const query = new URLSearchParams({ validationToken: words }).toString()
    const graph = echoQuery('validationToken', { method: 'POST' })
    expect(graph(request({ method: 'POST', query }))).toEqual({ status: 200, body: words })
    expect(graph(request({ query }))).toBeUndefined()
    expect(graph(request({ method: 'POST', query: 'validationToken=+a' }))).toBeUndefined()
    const headers = { 'validation-token': '0e61fbf4' }
    const ringCentral = echoHeader('validation-token', { method: 'POST' })
    expect(ringCentral(request({ method: 'POST', headers }))).toEqual({ status: 200, headers })
    expect(ringCentral(request({ headers }))).toBeUndefined()
  })

  it('echoField repeats a field of a POST, where others are as they must be', () => {
    const asked = (event: unknown, method: 'GET' | 'POST' = 'POST') =>
      echoField('challenge')(request({ method, event }))
    expect(asked({ challenge: '3eZbrw1aB' })).toEqual({ status: 200, body: { challenge: '3eZbrw1aB' } })
    expect(asked({ challenge: '3eZbrw1aB' }, 'GET')).toBeUndefined()
    for (const event of [undefined, null, [], 'x', {}, { challenge: 5 }, { challenge: '<b>' }, { challenge: '' }])
      expect(asked(event)).toBeUndefined()
    const typed = echoField('token', { as: 'reply', where: { type: 'verify' } })
    expect(typed(request({ method: 'POST', event: { type: 'verify', token: 'a' } }))).toMatchObject({
      body: { reply: 'a' },
    })
    expect(typed(request({ method: 'POST', event: { type: 'event', token: 'a' } }))).toBeUndefined()
  })

  it('cloudEvents allows the origin that an OPTIONS names', () => {
    const headers = { 'webhook-request-origin': 'eventgrid.azure.net', 'webhook-request-rate': '120' }
    expect(cloudEvents()(request({ method: 'OPTIONS', headers }))).toEqual({
      status: 200,
      headers: { 'webhook-allowed-origin': 'eventgrid.azure.net', 'webhook-allowed-rate': '*' },
    })
    expect(cloudEvents()(request({ method: 'OPTIONS' }))).toBeUndefined()
    expect(cloudEvents()(request({ method: 'POST', headers }))).toBeUndefined()
    expect(cloudEvents({ origins: ['other.example'] })(request({ method: 'OPTIONS', headers }))).toBeUndefined()
  })

  it('eventGrid answers the code of a validation event, and no other event', () => {
    const asked = (event: unknown) => eventGrid()(request({ method: 'POST', event }))
    expect(asked(validation('CODE-1'))).toEqual({ status: 200, body: { validationResponse: 'CODE-1' } })
    expect(asked([...validation('CODE-1'), ...validation('CODE-2')])).toBeUndefined()
    expect(asked(validation(1))).toBeUndefined()
    expect(asked([{ eventType: 'Kiosk.Page', data: { validationCode: 'CODE-1' } }])).toBeUndefined()
    expect(asked([null])).toBeUndefined()
    expect(asked('text')).toBeUndefined()
  })

  it('ok answers the methods that it names', () => {
    expect(ok('HEAD')(request({ method: 'HEAD' }))).toEqual({ status: 200 })
    expect(ok('HEAD')(request({ method: 'GET' }))).toBeUndefined()
    expect(ok()(request({ method: 'GET' }))).toEqual({ status: 200 })
    expect(ok()(request({ method: 'POST' }))).toBeUndefined()
  })

  it('several may be given to one source', () => {
    const greet = greetings(cloudEvents(), echoHeader('x-client', { onAnswers: true }), ok('HEAD'))
    expect(greet(request({ method: 'HEAD' }))).toEqual({ status: 200 })
    expect(greet(request({ headers: { 'x-client': 'c' } }))).toMatchObject({ headers: { 'x-client': 'c' } })
    expect(greet.onAnswers?.(new Headers({ 'x-client': 'c' }))).toEqual({ 'x-client': 'c' })
    expect(greet(request({ method: 'POST' }))).toBeUndefined()
  })
})

describe('no open mirror', () => {
  it('whatever a stranger writes, what is repeated is short, printable and no markup', () => {
    const all = greetings(
      echoQuery('challenge'),
      echoQuery('json', { as: 'json' }),
      echoHeader('x-echo'),
      cloudEvents(),
      eventGrid(),
      echoQuery('challenge', { method: 'POST' }),
      echoField('field'),
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 400 }),
      fc.string({ minLength: 250, maxLength: 300 }),
      fc.constantFrom('<script>', 'a\r\nset-cookie: x=1', '"', 'ü', 'x'.repeat(257), '%00'),
    )
    fc.assert(
      fc.property(text, fc.constantFrom('GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'), (given, method) => {
        let headers = new Headers()
        try {
          headers = new Headers({ 'x-echo': given, 'webhook-request-origin': given })
        } catch {
          // No header can hold it.
        }
        const query = new URLSearchParams({ challenge: given, json: given })
        const event = query.size % 2 === 0 && given.length % 2 === 0 ? validation(given) : { field: given }
        const greeted = all({ method, query, headers, event } as GreetRequest)
        if (greeted === undefined) return
        expect(bounded(greeted)).toBe(greeted)
        const shown = JSON.stringify([greeted.headers ?? {}, greeted.body ?? ''])
        expect(shown).toMatch(/^[\x20-\x7e]{1,700}$/)
        expect(shown).not.toMatch(/[<>]/)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['a redirect', { status: 302 as never }],
    ['a cookie', { status: 200, headers: { 'set-cookie': 'a=1' } }],
    ['an address', { status: 200, headers: { location: 'https://x.example' } }],
    ['a permission for pages', { status: 200, headers: { 'access-control-allow-origin': '*' } }],
    ['a file of the proxy', { status: 200, headers: { 'x-accel-redirect': '/etc' } }],
    ['markup', { status: 200, body: '<b>' }],
    ['markup in JSON', { status: 200, body: { a: '<b>' } }],
    ['other than ASCII', { status: 200, body: 'ü' }],
    ['a line end', { status: 200, headers: { 'x-a': 'a\nb' } }],
    ['a long body', { status: 200, body: 'x'.repeat(1_025) }],
    ['a long header', { status: 200, headers: { 'x-a': 'x'.repeat(257) } }],
  ] as const)('a greeting of a deployer’s own cannot answer %s', (_, greeted) => {
    expect(bounded(greeted)).toBeUndefined()
  })

  it('headers on later answers are within the same bounds', () => {
    expect(boundedHeaders({ 'x-a': 'a', 'set-cookie': 'a=1', 'x-b': 'x'.repeat(257), 'x-c': '\n' })).toEqual({
      'x-a': 'a',
    })
  })
})
