/** One source for each kind of authentication and body, for the relays under test. */
import * as z from 'zod'
import { github, jwt, sendgrid, standardWebhooks, twilio } from '../../src/edge/auth/index.ts'
import { source } from '../../src/edge/source/source.ts'
import type { Source } from '../../src/edge/source/types.ts'
import { sources as exampleSources } from '../../src/sources.ts'

const schema = z.object({ id: z.string(), customer: z.string(), tier: z.string() })
const map = (e: z.output<typeof schema>) => ({
  id: e.id,
  visitor: { thirdPartyId: e.customer },
  attributes: { tier: e.tier },
})

/** Where the test publishes the keys of its issuer: from the environment, or inserted by the bundler. */
const jwksUrl = process.env['TEST_JWKS_URL'] || 'http://127.0.0.1:9/jwks.json'

export const sources: readonly Source[] = [
  ...exampleSources,
  source('hmac', { auth: github(), schema, map, acceptsCopies: true }),
  source('form', {
    auth: twilio({ url: 'https://public.example/hooks/form' }),
    format: 'form',
    schema,
    map,
    acceptsCopies: true,
  }),
  source('ed25519', { auth: standardWebhooks(), schema, map }),
  source('ecdsa', { auth: sendgrid(), schema, map }),
  source('token', {
    auth: jwt({ issuer: 'https://issuer.example', audience: 'relay', jwksUrl }),
    schema,
    map,
  }),
  source('throws', { auth: { ...github(), verify: () => Promise.reject('a text') }, schema, map, acceptsCopies: true }),
  source('later', { auth: github(), schema, map, delay: '1s', acceptsCopies: true }),
]
