/** `GET /readyz`: may this relay be given work? Details only for operators. */
import type { Context } from 'hono'
import { operatorOf } from '../auth/operators.ts'
import type { AppParts } from './parts.ts'

export async function takeReadyz(
  c: Context,
  { settings, ready, readyForAnybody = ready }: Pick<AppParts, 'settings' | 'ready' | 'readyForAnybody'>,
): Promise<Response> {
  const operator = await operatorOf(c.req.header('authorization') ?? null, settings.operators ?? [])
  const readiness = await (operator === undefined ? readyForAnybody() : ready())
  const status = readiness.ready ? 200 : 503
  const brief = { status: readiness.ready ? 'ready' : 'not_ready' }
  return c.json(
    operator === undefined
      ? brief
      : { ...brief, ledger: readiness.ledger, checks: readiness.checks, ...readiness.details },
    status,
  )
}
