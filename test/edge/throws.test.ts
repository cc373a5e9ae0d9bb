/** A deployer's code or a library may throw or reject with anything: at most, one request is answered with an error. */
import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { answerOf, createApp } from '../../src/edge/app.ts'
import { type AuthScheme, github } from '../../src/edge/auth/index.ts'
import { secretProblem } from '../../src/edge/source/check.ts'
import { source } from '../../src/edge/source/source.ts'
import type { MappedUpdate, Source, SourceOptions } from '../../src/edge/source/types.ts'
import { testSecrets } from '../support/secrets.ts'
import { createWorld } from '../support/world.ts'

const canary = 'canary-4711'
const things: readonly (readonly [string, unknown])[] = [
  ['an error', new TypeError(canary)],
  ['a text', canary],
  ['null', null],
  ['undefined', undefined],
  ['an object', { canary, message: canary }],
  ['an object without a prototype', Object.create(null)],
]
const event = z.object({ customer: z.string() })
const map = (e: z.output<typeof event>): MappedUpdate => ({
  visitor: { thirdPartyId: e.customer },
  attributes: { tier: 'gold' },
})
const anybody: AuthScheme = { name: 'custom', needsSecret: false, carriesSecret: true, verify: async () => true }

async function edge(
  options: Partial<SourceOptions<z.ZodType>> & { auth?: AuthScheme },
  parts: Partial<Parameters<typeof createApp>[0]> = {},
) {
  const world = await createWorld()
  const logged: string[] = []
  const sources: readonly Source[] = [
    source('desk', { auth: anybody, schema: event, map, ...options } as SourceOptions<typeof event>),
  ]
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [{ token: testSecrets.apiToken, lane: 'live' }],
      operators: [{ role: 'admin', token: testSecrets.adminToken }],
      hookSecrets: new Map([['desk', ['a-secret']]]),
    },
    sources,
    prepare: world.prepare,
    wire: { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' },
    deliver: world.deliver,
    bury: (dead) => world.backlog.bury(dead),
    ready: () => Promise.reject(canary),
    operator: { usage: () => Promise.reject(canary) } as never,
    clock: world.clock,
    log: (name, details) => logged.push(JSON.stringify([name, details])),
    ...parts,
  })
  const hook = async () => {
    const body = '{"customer":"visitor-1"}'
    const signature = createHmac('sha256', 'a-secret').update(body).digest('hex')
    const headers = { 'content-type': 'application/json', 'x-hub-signature-256': `sha256=${signature}` }
    const answer = await app.fetch(new Request('https://relay.example/hooks/desk', { method: 'POST', headers, body }))
    const text = await answer.text()
    expect(text + logged.join()).not.toContain(canary)
    return {
      status: answer.status,
      retryAfter: answer.headers.get('retry-after'),
      answer: JSON.parse(text) as Record<string, unknown>,
    }
  }
  return { app, hook, world, logged }
}

describe.each(things)('%s', (_, thing) => {
  const fails = () => {
    throw thing
  }
  const rejects = () => Promise.reject(thing)

  it.each([
    ['thrown', fails as never],
    ['rejected with', rejects as never],
  ])(
    '%s by an authentication scheme: the sender is neither authenticated nor rejected but told to retry, and the error’s name is logged',
    async (_how, verify) => {
      const { hook, world, logged } = await edge({ auth: { ...anybody, verify } })
      const { status, retryAfter } = await hook()
      expect([status, Number(retryAfter) > 0]).toEqual([503, true])
      expect(logged.filter((line) => !line.startsWith(`["request"`))).toEqual([
        expect.stringMatching(/verify_failed.*desk/),
      ])
      expect([world.target.calls.length, await world.entries(), await world.dead()]).toEqual([0, 0, []])
    },
  )

  it.each<[string, Partial<SourceOptions<z.ZodType>>]>([
    ['the id of a scheme', { auth: { ...anybody, eventId: fails } }],
    ['a mapping', { map: fails }],
    ['an asynchronous mapping', { map: rejects as never }],
    ['a schema', { schema: z.any().transform(fails) }],
    ['the event’s id', { eventId: fails }],
    ['the event’s time', { occurredAt: fails }],
    [
      'a getter of what a mapping returned',
      {
        map: () =>
          ({
            visitor: { thirdPartyId: '1' },
            attributes: {
              get tier() {
                throw thing
              },
            },
          }) as never,
      },
    ],
  ])('thrown by %s: the event is quarantined', async (_where, options) => {
    const { hook, world } = await edge(options)
    const { status, answer } = await hook()
    expect([status, answer]).toEqual([202, { status: 'quarantined' }])
    expect(await world.dead()).toEqual(['unmappable'])
    expect(JSON.stringify((await world.backlog.listDead()).items)).not.toContain(canary)
  })

  it('thrown by a handshake: the event is processed as usual', async () => {
    const { hook, world } = await edge({ auth: { ...github(), handshake: rejects as never }, acceptsCopies: true })
    expect((await hook()).answer).toMatchObject({ status: 'submitted' })
    expect(world.target.calls).toHaveLength(1)
  })

  it('thrown by any other part of the app: an answer, and a line in the log', async () => {
    const { app, hook, logged } = await edge({}, { deliver: rejects as never })
    expect((await hook()).status).toBe(500)
    expect(logged).toContainEqual(expect.stringContaining('request_failed'))
    expect((await app.fetch(new Request('https://relay.example/readyz'))).status).toBe(500)
    const headers = { authorization: `Bearer ${testSecrets.adminToken}` }
    expect((await app.fetch(new Request('https://relay.example/admin/api/status', { headers }))).status).toBe(503)
  })

  it('thrown by another app that mounts this one or is mounted by it', async () => {
    const logged: string[] = []
    const answer = await answerOf({ fetch: rejects as never }, new Request('https://relay.example/'), (name, details) =>
      logged.push(JSON.stringify([name, details])),
    )
    expect([answer.status, logged.length]).toEqual([500, 1])
    expect(logged.join()).not.toContain(canary)
  })

  it('thrown by a check of secrets is reported by the error’s name', async () => {
    const made = source('desk', {
      auth: { ...anybody, needsSecret: undefined, takesSecret: fails } as never,
      schema: event,
      map,
    })
    expect(await secretProblem(made, ['x'])).toMatch(/^HOOK_SECRET_DESK cannot be checked: custom threw \w+$/)
  })
})

it.each([undefined, 'yes', 1, {}])('a scheme whose verdict is %j authenticates nobody', async (verdict) => {
  const { hook } = await edge({ auth: { ...anybody, verify: async () => verdict as never } })
  expect((await hook()).status).toBe(401)
})
