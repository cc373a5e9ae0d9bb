/**
 * How a sender makes a request of a scheme, as data: what `target-relay sign` and `target-relay dev` make theirs from. A
 * relay uses nothing of it.
 */
import type { SignatureDescriptor, SignatureOptions } from './descriptor.ts'

export type Sending =
  | { readonly by: 'signature'; readonly descriptor: SignatureDescriptor; readonly options: SignatureOptions }
  /** The secret as it is: in `Authorization`, or in the header or query parameter of this name. */
  | { readonly by: 'bearer' | 'basic' }
  | { readonly by: 'header' | 'query'; readonly name: string }
  /** The secret in a field of the JSON body: names joined by dots; of a list in each item. */
  | { readonly by: 'field'; readonly path: string }
  /** HS256 under the secret. */
  | { readonly by: 'token'; readonly token: TokenShape }
  /** Only who has the sender's private key can. */
  | { readonly by: 'private-key' }
  /** One of them; where they have labels, the one that a secret names before its colon. */
  | { readonly by: 'either'; readonly ways: readonly Way[] }

export interface Way {
  readonly label?: string
  /** Undefined for a scheme that says nothing of it. */
  readonly sending: Sending | undefined
}

/** What a token must hold to be accepted. */
export interface TokenShape {
  readonly issuer?: string
  readonly audience?: string
  /** The header that holds the token alone. Default: `authorization`, as bearer. */
  readonly header?: string
  /** The only subject accepted, where the issuer signs for many. */
  readonly subject?: string
  /** The claim that holds the body's SHA-256. */
  readonly body?: { readonly claim: string; readonly encoding: 'hex' | 'base64' | 'base64url' }
}
