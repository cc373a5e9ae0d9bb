/** The scheme of docs/sources.md, "A scheme of your own". */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { hmacSha384 } from '../../docs/examples/own-scheme.ts'
import { checkSources } from '../../src/edge/source/check.ts'
import { source } from '../../src/edge/source/source.ts'
import { appOf } from '../corpus/app.ts'
import { createWorld } from '../support/world.ts'

const secret = 'a-made-up-secret-of-the-test'
const body = '{"id":"e-1","customer":"c-1","tier":"gold"}'
const own = source('own', {
  auth: hmacSha384,
  acceptsCopies: true,
  schema: z.object({ id: z.string(), customer: z.string(), tier: z.string() }),
  map: (e) => ({ id: e.id, visitor: { thirdPartyId: e.customer }, attributes: { tier: e.tier } }),
})

async function sent(headers: readonly (readonly [string, string])[]) {
  const world = await createWorld()
  const send = appOf(world, { sources: [own], hookSecrets: new Map([['own', ['another-secret', secret]]]) })
  const { status } = await send({
    method: 'POST',
    path: '/hooks/own',
    headers: [['content-type', 'application/json'], ...headers],
    body: Buffer.from(body),
  })
  return [status, world.profile('c-1')]
}

const signed = (text: string) => createHmac('sha384', secret).update(text).digest('hex')

describe('a scheme of your own', () => {
  it('authenticates what was signed, and nothing else', async () => {
    expect(await sent([['x-signature', signed(body)]])).toEqual([200, { tier: 'gold' }])
    for (const headers of [[], [['x-signature', signed(`${body} `)]], [['x-signature', 'x']]] as const)
      expect(await sent(headers)).toEqual([401, {}])
  })

  it('is asked for the time of its events, unless its source accepts copies', () => {
    const asked = source('own', { auth: hmacSha384, schema: z.object({}), map: () => null })
    expect(checkSources([asked], { retentionMs: 1 })).toEqual([expect.stringContaining('sees no time')])
  })

  it('stands on the page as it is in its file', () => {
    const read = (path: string) => readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8')
    expect(read('sources.md')).toContain(`\`\`\`ts\n${read('examples/own-scheme.ts')}\`\`\``)
  })
})
