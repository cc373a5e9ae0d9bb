/** `/admin/api`: how the relay is doing, and what waits. */
import { Hono } from 'hono'
import type { PartsOf } from '../parts.ts'

export function statusApi(partsOf: PartsOf<'operator'>): Hono {
  const app = new Hono({ strict: false })
  app.get('/status', async (c) => c.json(await partsOf(c).operator.status()))
  app.get('/backlog', async (c) => c.json(await partsOf(c).operator.backlog()))
  return app
}
