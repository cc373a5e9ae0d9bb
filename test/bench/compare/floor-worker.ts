/**
 * The floor: the least that a Worker with a quota in Redis can do for an update. One request to Upstash, one POST to
 * Target, and one more request to Upstash after the answer. It authenticates nobody, validates nothing and stores
 * nothing.
 */
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
  const update = await c.req.json<PlainUpdate>()
  await redis.incr('floor:asked')
  const status = await postToTarget(c.env, update)
  c.executionCtx.waitUntil(redis.incr('floor:settled'))
  return status === 200 ? c.json({ status: 'submitted' }) : c.json({ status: 'failed' }, 502)
})
export default app
