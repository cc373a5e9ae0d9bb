/** What a relay says of itself, for the commands that show a part of it. */
import * as z from 'zod'
import { usage } from '../edge/contract/admin.ts'
import { readiness } from '../edge/contract/probes.ts'
import { status } from '../edge/contract/status.ts'
import { Failed } from './errors.ts'
import type { RelayClient, Said } from './relay-client.ts'

export type Status = z.output<typeof status>

/** @throws Failed if nobody answers, or no relay does */
export async function askStatus(client: RelayClient): Promise<Said<Status>> {
  const { said: whole } = await client.ask('/admin/api/status', z.looseObject({}))
  const now = status.safeParse(whole)
  if (now.success) return { said: now.data, whole }
  const before = usage.safeParse(whole)
  if (!before.success)
    throw new Failed(`${client.url}/admin/api/status: what answers there is no relay, or one of another version`)
  const { used, limit, nextFreeAtMs, health } = before.data
  const { checks = {}, lastFlushAt } = await client.get('/readyz', readiness)
  const said: Status = {
    quota: {
      used,
      limit,
      ...(nextFreeAtMs === undefined ? {} : { nextFreeAt: new Date(nextFreeAtMs).toISOString() }),
    },
    paused: health.paused,
    ...(health.breaker === undefined
      ? {}
      : { breaker: { cause: health.breaker.cause, since: new Date(health.breaker.sinceMs).toISOString() } }),
    ...(lastFlushAt === undefined ? {} : { runs: [{ at: lastFlushAt, stopped: 'drained' }] }),
    checks,
  }
  return { said, whole: { ...whole, ...said } }
}
