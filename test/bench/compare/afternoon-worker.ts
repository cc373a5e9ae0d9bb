/**
 * What somebody might write in an afternoon: `Ratelimit.slidingWindow` and a fetch. What is over the limit, or what Target does
 * not accept, is lost.
 */
import { Ratelimit } from '@upstash/ratelimit'
import { Redis } from '@upstash/redis/cloudflare'
import { Hono } from 'hono'
import { type PlainEnv, type PlainUpdate, postToTarget } from './plain-target.ts'

const app = new Hono<{ Bindings: PlainEnv }>()
app.post('/v1/updates', async (c) => {
  const redis = new Redis({
    url: c.env.UPSTASH_REDIS_REST_URL,
    token: c.env.UPSTASH_REDIS_REST_TOKEN,
    enableTelemetry: false,
  })
  const ratelimit = new Ratelimit({ redis, limiter: Ratelimit.slidingWindow(1_000_000, '1 d'), analytics: false })
  const update = await c.req.json<PlainUpdate>()
  const { success, pending } = await ratelimit.limit('target')
  c.executionCtx.waitUntil(pending)
  if (!success) return c.json({ status: 'over the limit' }, 429)
  const status = await postToTarget(c.env, update)
  return status === 200 ? c.json({ status: 'submitted' }) : c.json({ status: 'failed' }, 502)
})
export default app
