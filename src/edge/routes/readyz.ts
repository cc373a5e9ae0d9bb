/** `GET /readyz`: may this relay be given work? Details only for the holder of the admin token. */
import type { Context } from 'hono'
import { verifyBearer } from '../auth/tokens.ts'
import type { AppParts } from './parts.ts'

export async function takeReadyz(
  c: Context,
  { settings, ready, readyForAnybody = ready }: Pick<AppParts, 'settings' | 'ready' | 'readyForAnybody'>,
): Promise<Response> {
  const { adminToken } = settings
  const admin = adminToken !== undefined && (await verifyBearer(c.req.header('authorization') ?? null, [adminToken]))
  const readiness = await (admin ? ready() : readyForAnybody())
  const status = readiness.ready ? 200 : 503
  const brief = { status: readiness.ready ? 'ready' : 'not_ready' }
  return c.json(
    admin ? { ...brief, ledger: readiness.ledger, checks: readiness.checks, ...readiness.details } : brief,
    status,
  )
}
