/** `GET /readyz`: may this relay be given work? Details only for who holds the admin token. */
import type { Context } from 'hono'
import type { AppParts } from '../app.ts'
import { verifyBearer } from '../auth/tokens.ts'

export interface Readiness {
  /** Whether this instance's store can keep updates. */
  readonly ready: boolean
  readonly ledger: 'upstash' | 'embedded'
  readonly checks: Readonly<Record<string, 'ok' | 'warn' | 'fail'>>
  readonly details?: Readonly<Record<string, string | number>>
}

export async function takeReadyz(
  c: Context,
  { settings, ready, readyForAnybody = ready }: AppParts,
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
