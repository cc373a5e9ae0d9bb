/** What the emulator may be told, and what it tells. */
import type { Decoded } from './decode.ts'

export interface EmulatorOptions {
  /** A free one unless given. */
  readonly port?: number
  readonly clientCode?: string
  /** Requires `Authorization: Bearer <token>`. */
  readonly token?: string
  /** Every visitor is known, as if each had been on the site. */
  readonly autoSeed?: boolean
  /** The rolling window that calls are counted in. */
  readonly windowMs?: number
  /** Refuses further calls after this many in a window, as Target is believed to; without it, it only counts. */
  readonly quota?: number
  /** The documentation states none of these: each default is a guess, and can be set. */
  readonly statuses?: {
    readonly overQuota?: number
    readonly tooLarge?: number
    readonly malformed?: number
    readonly forbidden?: number
    readonly wrongClient?: number
  }
  readonly contentType?: string
  /** Answers in the form that Adobe's page prints, without tags. */
  readonly plain?: boolean
  readonly maxUrlBytes?: number
  readonly maxBodyBytes?: number
  readonly now?: () => number
  /** Serves https with this key and certificate, PEM. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** How long an idle connection stays open. */
  readonly keepAliveMs?: number
  /**
   * Called for each call with its time of arrival, once its body is complete (an aborted request is not a call), and for
   * each update before it is answered, to keep a record that outlives the process.
   */
  readonly onCall?: (arrivedMs: number) => void
  readonly onTaken?: (call: TakenCall) => void
}

export interface Statistics {
  /** Every request to the update endpoint, whatever its outcome. */
  readonly calls: number
  /** Updates accepted. */
  readonly accepted: number
  /** Updates of unknown visitors. */
  readonly unknownVisitor: number
  readonly malformed: number
  readonly maxInWindow: number
  readonly byStatus: Readonly<Record<string, number>>
}

export interface TakenCall extends Decoded {
  readonly atMs: number
  readonly method: string
}
