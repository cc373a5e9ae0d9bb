import { describe, expect, it } from 'vitest'
import {
  apiKey,
  basic,
  bearer,
  bodyKey,
  isOneOf,
  laneOfBearer,
  queryKey,
  verifyBasic,
  verifyBearer,
} from '../../../src/edge/auth/tokens.ts'

describe('tokens', () => {
  it.each([
    ['Bearer right', ['right'], true],
    ['bearer  right', ['wrong', 'right'], true],
    ['Bearer right', ['right', 'wrong'], true],
    ['Bearer right', ['wrong', 'right', 'other'], true],
    ['Bearer right', ['wrong'], false],
    ['Bearer right', [], false],
    ['Bearer right', [''], false],
    ['Bearer ', [''], false],
    ['Bearer right right', ['right right'], false],
    ['Basic right', ['right'], false],
    ['right', ['right'], false],
    [null, ['right'], false],
    [null, [], false],
  ])('%s against %j: %s', async (header, tokens, proven) => {
    expect(await verifyBearer(header, tokens)).toBe(proven)
  })

  it('nobody is authenticated when there are no secrets', async () => {
    expect(await isOneOf('', [])).toBe(false)
    const headers = new Headers({ authorization: 'Bearer anything' })
    expect(
      await bearer().verify({
        headers,
        body: new Uint8Array(),
        secrets: [],
        nowMs: 0,
        method: 'POST',
        url: 'https://relay.example/hooks/x',
      }),
    ).toBe('no_secret')
  })

  it('the whole token is compared: none of a thousand others is accepted', async () => {
    const others = Array.from({ length: 1_000 }, (_, number) => `right${number}`)
    for (const other of others) expect(await isOneOf(other, ['right'])).toBe(false)
    expect(await isOneOf('right', [...others, 'right', ...others])).toBe(true)
  })

  it('each token has the lane that it was granted', async () => {
    const tokens = [
      { token: 'first', lane: 'high' },
      { token: 'second', lane: 'bulk' },
    ] as const
    expect(await laneOfBearer('Bearer first', tokens)).toEqual({ lane: 'high' })
    expect(await laneOfBearer('Bearer second', tokens)).toEqual({ lane: 'bulk' })
    expect(await laneOfBearer('Bearer third', tokens)).toEqual({ why: 'mismatch' })
    expect(await laneOfBearer(null, tokens)).toEqual({ why: 'header_missing' })
    expect(await laneOfBearer('Bearer first', [])).toEqual({ why: 'no_secret' })
  })

  it('an API key may come in a header of its own', async () => {
    const scheme = apiKey('x-api-key')
    const request = (headers: Record<string, string>, secrets: readonly string[]) =>
      scheme.verify({
        method: 'POST',
        url: 'https://relay.example/hooks/x',
        headers: new Headers(headers),
        body: new Uint8Array(),
        secrets,
        nowMs: 0,
      })
    expect(await request({ 'x-api-key': 'right' }, ['wrong', 'right'])).toBe(true)
    expect(await request({ 'x-api-key': 'right' }, ['wrong'])).toBe('mismatch')
    expect(await request({ authorization: 'Bearer right' }, ['right'])).toBe('header_missing')
    expect(await request({ 'x-api-key': '' }, [])).toBe('header_missing')
  })

  it('a key in the query authenticates where it is given once', async () => {
    const scheme = queryKey('code')
    const request = (query: string, secrets: readonly string[] = ['wrong', 'r/ght']) =>
      scheme.verify({
        method: 'POST',
        url: `https://relay.example/hooks/x${query}`,
        headers: new Headers(),
        body: new Uint8Array(),
        secrets,
        nowMs: 0,
      })
    expect(await request('?code=r%2Fght')).toBe(true)
    expect(await request('?a=1&code=r/ght#x')).toBe(true)
    expect(await request('?code=other')).toBe('mismatch')
    expect(await request('?Code=r%2Fght')).toBe('header_missing')
    expect(await request('')).toBe('header_missing')
    expect(await request('?code=')).toBe('header_missing')
    expect(await request('?code=other&code=r%2Fght')).toBe('malformed')
    expect(await request('?code=r%2Fght', [])).toBe('no_secret')
  })

  it('bodyKey takes the secret from a field of the body, and of a list from every item', async () => {
    const request = (path: string, body: unknown, secrets: readonly string[] = ['wrong', 'right']) =>
      bodyKey(path).verify({
        method: 'POST',
        url: 'https://relay.example/hooks/x',
        headers: new Headers(),
        body: new Uint8Array(new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body))),
        secrets,
        nowMs: 0,
      })
    expect(await request('token', { token: 'right' })).toBe(true)
    expect(await request('a.token', { a: { token: 'right' } })).toBe(true)
    expect(await request('value.state', { value: [{ state: 'right' }, { state: 'right' }] })).toBe(true)
    expect(await request('token', { token: 'right' }, [])).toBe('no_secret')
    expect(await request('token', { token: 'other' })).toBe('mismatch')
    expect(await request('value.state', { value: [{ state: 'right' }, { state: 'other' }] })).toBe('mismatch')
    for (const body of [
      ...['', 'no JSON', '{"token":"other","token":"right"}', {}, [], { token: '' }, { token: 5 }, { token: null }],
      ...[{ token: { right: 1 } }, { token: [] }, { token: [['right']] }, { Token: 'right' }],
    ])
      expect(await request('token', body), JSON.stringify(body)).toBe('header_missing')
    expect(await request('value.state', { value: [{ state: 'right' }, {}] })).toBe('header_missing')
    expect(await request('value.state', { value: [] })).toBe('header_missing')
    expect(await request('__proto__.constructor.name', {})).toBe('header_missing')
    // Of many different ones not all are hashed.
    expect(await request('token', { token: Array.from({ length: 9 }, (_, n) => `right${n}`) })).toBe('malformed')
    expect(await request('token', `${'['.repeat(5_000)}${']'.repeat(5_000)}`)).toBe('header_missing')
  })

  it.each([
    ['user:word', ['user:word'], true],
    ['üser:wörd', ['other:x', 'üser:wörd'], true],
    ['user:other', ['user:word'], false],
    ['other:word', ['user:word'], false],
    ['word', ['user:word'], false],
    ['', [''], false],
  ])('basic: %s against %j: %s', async (pair, pairs, proven) => {
    expect(await verifyBasic(`Basic ${Buffer.from(pair).toString('base64')}`, pairs)).toBe(proven)
    expect(await verifyBasic(`Bearer ${Buffer.from(pair).toString('base64')}`, pairs)).toBe(false)
    expect(await verifyBasic(null, pairs)).toBe(false)
  })

  it('a secret for basic needs a user and a password', async () => {
    const taken = ['user:word', 'user:', ':word', 'word'].map((secret) => basic().takesSecret?.(secret))
    expect(await Promise.all(taken)).toEqual([true, false, false, false])
  })
})
