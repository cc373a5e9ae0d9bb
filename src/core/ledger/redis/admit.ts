/**
 * An admission on Redis: `Ratelimit` reserves units under a grant, and the script behind it decides and takes from that
 * grant. Both are one pipeline, and so one HTTP request.
 */
import { Ratelimit } from '@upstash/ratelimit'
import type { Lane } from '../../update/update.ts'
import { ClockJumped } from '../errors.ts'
import { type AdmitRequest, grantOf, type LedgerStore } from '../port.ts'
import { checkBatch, laneCeiling } from '../rules/settings.ts'
import { type KeptAdmission, listOf, type Maybe, readAdmission } from './answers.ts'
import { attemptKeys } from './keys.ts'
import type { UpstashParts } from './parts.ts'
import { type Reserved, rollingWindow } from './rolling-window.ts'
import type { Run } from './run-script.ts'
import { admitScript } from './scripts/admit.ts'
import { reserveScript } from './scripts/reserve.ts'

type Admitted = Awaited<ReturnType<LedgerStore['admit']>>

/** As `LedgerStore.admit`. */
export async function admit(
  parts: UpstashParts,
  epoch: string,
  requests: readonly AdmitRequest[],
  lane: Lane,
): Promise<Admitted> {
  checkBatch(requests.length)
  const ceiling = laneCeiling(parts.settings, lane)
  return parts.scripts.together(async (run) => {
    const reserving = reserve(parts, run, { epoch, requests, ceiling })
    const deciding = run(admitScript, keysOf(parts, requests), { epoch, requests, ceiling, lane })
    const [, decided] = await Promise.all([reserving, deciding])
    return readAdmitted(decided)
  })
}

interface Reserving {
  readonly epoch: string
  readonly requests: readonly AdmitRequest[]
  /** Of the lane, units. */
  readonly ceiling: number
}

function reserve({ redis, keys }: UpstashParts, run: Run, { epoch, requests, ceiling }: Reserving): Promise<unknown> {
  const least = Math.min(...requests.map(({ units }) => units), Number.MAX_SAFE_INTEGER)
  const ratelimit = new Ratelimit({
    redis,
    prefix: keys.grants,
    limiter: rollingWindow({
      ceiling,
      reserve: async (grantKey, want) =>
        (await run(reserveScript, [keys.quota, grantKey], { epoch, want, least, ceiling })) as Reserved,
    }),
    // It would fail open, and shut an isolate out until the end of the window.
    timeout: 0,
    ephemeralCache: false,
    analytics: false,
    enableProtection: false,
  })
  return ratelimit.limit(grantOf(requests), { rate: requests.reduce((sum, { units }) => sum + units, 0) })
}

function keysOf({ keys }: UpstashParts, requests: readonly AdmitRequest[]): string[] {
  const ofEach = requests.flatMap(({ visitorHash, event, source }) =>
    attemptKeys(keys, { visitorHash, event, source: source?.name }),
  )
  return [keys.quota, keys.grant(grantOf(requests)), keys.health, ...ofEach]
}

/** What `admitScript` answers, but for false. */
type Decided =
  | { readonly cancelled: true }
  | { readonly jumpedBy: number }
  | { readonly granted: number; readonly admissions: Maybe<KeptAdmission>; readonly unknown?: number }

function readAdmitted(answer: unknown): Admitted {
  if (answer === false) throw new Error('NOSCRIPT: the reservation did not run')
  if (answer === null) return undefined
  const decided = answer as Decided
  if ('cancelled' in decided) throw new Error('the admission was cancelled')
  if ('jumpedBy' in decided) throw new ClockJumped(decided.jumpedBy)
  return { ...decided, admissions: listOf(decided.admissions).map(readAdmission) }
}
