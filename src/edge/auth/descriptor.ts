/** How a sender signs, as data: what `signature()` makes a scheme of. */
import type { Handshake, Yes } from './handshake.ts'

export type Algorithm = 'HMAC-SHA-1' | 'HMAC-SHA-256' | 'HMAC-SHA-512' | 'Ed25519' | 'ECDSA-P-256' | 'RSA-SHA-256'

/**
 * Where a text is: in a header (or in several, each with a text of its own), or in a field of a JSON body (names joined
 * by dots). The whole text, or, with a `separator`, its items that begin with `prefix`, or the one at the place `item`
 * (from 0).
 */
export type Part = ({ readonly header: string | readonly string[] } | { readonly field: string }) & {
  readonly separator?: string
  readonly prefix?: string
  readonly item?: number
}

export type TimeUnit = 's' | 'ms' | 'iso' | 'http-date'

export interface SignatureDescriptor {
  readonly name: string
  readonly algorithm: Algorithm
  /** One signature or several; one that fits is enough. ECDSA signatures are DER, RSA ones PKCS #1 v1.5. */
  readonly signature: Part & { readonly encoding: 'hex' | 'base64' | 'base64url' }
  /**
   * What is signed. Placeholders: `{body}` the raw bytes; `{timestamp}`, `{nonce}` and `{id}` as they stand in the
   * request; `{method}`; `{url}`; `{form}` the names and values of a form, sorted and run together, as Twilio has it
   * (of another body the hash must stand in the URL's `bodySHA256`).
   */
  readonly signed: string
  /** Seconds or milliseconds since 1970 as digits, ISO 8601 with an offset, or a date as HTTP has it (RFC 9110). */
  readonly timestamp?: Part & { readonly unit: TimeUnit }
  /** How far the timestamp may be from now, either way. Default 300. */
  readonly toleranceSeconds?: number
  /** A text that is used only once. */
  readonly nonce?: Part
  /** The header of the event's id. */
  readonly id?: string
  /** Set if the sender does not sign the body: whoever saw one request can send another body under its signature. */
  readonly bodyUnsigned?: true
  /**
   * How a secret (or public key) is written. Default UTF-8. Others than those with a required prefix are passed over.
   */
  readonly secret?: {
    readonly encoding: 'utf8' | 'base64' | 'base64url' | 'hex'
    readonly prefix?: string
    readonly prefixRequired?: boolean
  }
  readonly handshake?: Handshake
  readonly yes?: Yes
}

export interface SignatureOptions {
  readonly toleranceSeconds?: number
  /**
   * The URL as the sender knows it, without a query, where a proxy in front changes its host or path. The request's
   * query is put behind it. Ports, escaping, a slash at the end and http in place of https need no mention
   * (`url-forms.ts`).
   */
  readonly url?: string
}
