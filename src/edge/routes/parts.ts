/** What the routes need. Composition gives all of it; each route says which of it is its own. */
import type { Context } from 'hono'
import type { Backlog, DeadLetter } from '../../core/backlog/port.ts'
import type { Clock } from '../../core/clock.ts'
import type { Prepare } from '../../core/delivery/prepare.ts'
import type { Deliver } from '../../core/delivery/receipt.ts'
import type { Ledger } from '../../core/ledger/port.ts'
import type { Log } from '../../core/log.ts'
import type { DeadOffice } from '../../core/operator/dead/office.ts'
import type { Erase } from '../../core/operator/erase.ts'
import type { AskSeals } from '../../core/operator/seals.ts'
import type { SeriesOf } from '../../core/operator/series.ts'
import type { FindVisitor } from '../../core/operator/visitor/find-visitor.ts'
import type { Wire } from '../../core/wire/calls.ts'
import type { FetchProfile } from '../../core/wire/profile.ts'
import type { AuthFailed } from '../auth/failed-authentications.ts'
import type { OperatorToken, Role } from '../auth/operators.ts'
import type { ApiToken } from '../auth/tokens.ts'
import type { BodyRoom } from '../http/body.ts'
import type { Metric } from '../http/metrics-text.ts'
import type { LogRequests } from '../http/request-line.ts'
import type { UnderWayParts } from '../http/under-way.ts'
import type { Source } from '../source/types.ts'

export interface AppParts extends UnderWayParts {
  readonly settings: {
    readonly targetClientCode: string
    readonly apiTokens: readonly ApiToken[]
    /** Default of both: nobody. */
    readonly operators?: readonly OperatorToken[]
    readonly adminAccess?: readonly string[]
    readonly hookSecrets: ReadonlyMap<string, readonly string[]>
    readonly logRequests?: LogRequests
  }
  readonly sources: readonly Source[]
  readonly prepare: Prepare
  /** For dry runs. */
  readonly wire: Wire
  readonly deliver: Deliver
  readonly bury: Backlog['bury']
  /** Counts and logs that a sender's handshake was answered. */
  readonly greeted?: (source: string) => void
  /** Keeps a confirmation for an operator; resolves to false where this source had one within the last ten minutes. */
  readonly keepConfirmation?: (dead: DeadLetter) => Promise<boolean>
  readonly ready: () => Promise<Readiness>
  /** For requests without the admin token: may be some seconds old. Default: `ready`. */
  readonly readyForAnybody?: () => Promise<Readiness>
  readonly operator: Operator
  /** For `/metrics`. */
  readonly metrics?: () => Promise<readonly Metric[]>
  /** The e-mail address of whoever came through Cloudflare Access, where somebody may. */
  readonly accessEmail?: () => Promise<string | undefined>
  readonly clock: Clock
  readonly log?: Log
  /** Told of each failed authentication. */
  readonly authFailed?: AuthFailed
  /** Memory for the bodies of senders that are not authenticated yet. */
  readonly room: BodyRoom
}

export type { Log }

/** What `/readyz` reports. */
export interface Readiness {
  /** Whether this instance's store can keep updates. */
  readonly ready: boolean
  readonly ledger: 'upstash' | 'embedded'
  readonly checks: Readonly<Record<string, 'ok' | 'warn' | 'fail'>>
  readonly details?: Readonly<Record<string, string | number>>
}

/** What `/admin/api` can do. */
export interface Operator
  extends Pick<
    Ledger,
    'usage' | 'pause' | 'closeBreaker' | 'restate' | 'confirmClock' | 'moveOut' | 'moveIn' | 'restored'
  > {
  /** Names `HASH_KEY` without revealing it: under another one, a ledger's state means nothing. */
  hashKeyName(): Promise<string>
  /** Takes a ledger over whose client code was a typo; what stands against it, if anything (`operator/owner.ts`). */
  takeOver(client: string): Promise<string | undefined>
  /** In the shapes of `contract/status.ts`. Reject where the ledger does not answer. */
  status(): Promise<object>
  backlog(): Promise<object>
  /**
   * When what waits is through if this waits beside it, by the forecast, epoch ms; undefined where nobody can say.
   *
   * @param more letters that are put back, as how many entries, and the calls of these at most
   */
  throughWith(more: {
    readonly letters: number
    readonly entries: number
    readonly calls: number
  }): Promise<number | undefined>
  /** One run; its report. */
  flush(): Promise<object>
  readonly erase: Erase
  readonly seals: AskSeals
  readonly find: FindVisitor
  /** What Target holds of a visitor. */
  readonly profile: FetchProfile
  readonly series: SeriesOf
  readonly dead: DeadOffice
  /** As `prepare`, for a sample, whose time may be older than the retention. */
  readonly prepareSample: Prepare
  /** A keyed hash of these texts, for the forms of the console. */
  formHash(parts: readonly string[]): Promise<string>
  /** Keeps an act; rejects where it could not be kept. */
  record(act: Act): Promise<void>
  /** The last acts, newest first. */
  acts(): Promise<readonly Act[]>
}

/** What an operator did, without a visitor's id or value. */
export interface Act {
  /** ISO 8601. */
  readonly at: string
  readonly who: string
  readonly role: Role
  readonly what: string
  readonly details?: ActDetails
}

export type ActDetails = Readonly<Record<string, string | number>>

/** Events of own systems share one scope of ids. */
export const apiSource = 'api'
/** As the source of failed authentications of operators. */
export const adminName = 'admin'

/** Finds in a request's context the parts that a route needs. */
export type PartsOf<Name extends keyof AppParts> = (c: Context) => Pick<AppParts, Name>
