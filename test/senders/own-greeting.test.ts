/** The handshake of docs/sources.md, "Handshakes", that must be signed. */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { URL } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import { crc } from '../../docs/examples/own-greeting.ts'
import { signature } from '../../src/edge/auth/index.ts'
import { source } from '../../src/edge/source/source.ts'
import { appOf } from '../corpus/app.ts'
import { createWorld } from '../support/world.ts'

const secret = 'a-made-up-secret-of-the-test'
const hmac = (text: string) => `sha256=${createHmac('sha256', secret).update(text).digest('base64')}`
const x = source('x', {
  auth: signature({
    name: 'x',
    algorithm: 'HMAC-SHA-256',
    signature: { header: 'x-twitter-webhooks-signature', prefix: 'sha256=', encoding: 'base64' },
    signed: '{body}',
  }),
  greet: crc,
  acceptsCopies: true,
  schema: z.object({ id: z.string(), user: z.string() }),
  map: (e) => ({ id: e.id, visitor: { thirdPartyId: e.user }, attributes: { mentioned: e.id } }),
})

async function sent(method: string, path: string, body = '', headers: readonly (readonly [string, string])[] = []) {
  const world = await createWorld()
  const send = appOf(world, { sources: [x], hookSecrets: new Map([['x', [secret]]]) })
  const { status, text } = await send({ method, path: `/hooks/x${path}`, headers, body: Buffer.from(body) })
  return { status, text }
}

afterEach(() => vi.unstubAllEnvs())

describe('a handshake that must be signed', () => {
  it('answers the token of a GET with its HMAC', async () => {
    vi.stubEnv('HOOK_SECRET_X', secret)
    expect(await sent('GET', '?crc_token=NzNhYmNkZWY-_1')).toEqual({
      status: 200,
      text: JSON.stringify({ response_token: hmac('NzNhYmNkZWY-_1') }),
    })
  })

  it('signs nothing that could be an event, and nothing without a secret', async () => {
    vi.stubEnv('HOOK_SECRET_X', secret)
    for (const token of ['', '{"id":"1","user":"2"}', '12345678', '12345e67', 'null', 'id=1&user=2', 'x'.repeat(101)])
      expect(await sent('GET', `?crc_token=${encodeURIComponent(token)}`)).toMatchObject({ status: 405 })
    vi.stubEnv('HOOK_SECRET_X', undefined)
    expect(await sent('GET', '?crc_token=NzNhYmNkZWY-_1')).toMatchObject({ status: 405 })
  })

  it('is beside the events, which are signed the same way', async () => {
    const body = '{"id":"1","user":"2"}'
    expect(await sent('POST', '', body, [['x-twitter-webhooks-signature', hmac(body)]])).toMatchObject({ status: 200 })
    expect(await sent('POST', '', body, [['x-twitter-webhooks-signature', hmac('x')]])).toMatchObject({ status: 401 })
  })

  it('stands on the page as it is in its file', () => {
    const read = (path: string) => readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8')
    expect(read('sources.md')).toContain(`\`\`\`ts\n${read('examples/own-greeting.ts')}\`\`\``)
  })
})
