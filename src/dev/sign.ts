/**
 * A request as the sender of a source would make it, signed under one of its secrets.
 *
 * What is signed, and how a secret is written, is read by the code that verifies it (`edge/auth/signature.ts`), so that
 * both agree; what vendors really send is tested with their own libraries.
 */
import { createHash } from 'node:crypto'
import { sign as signToken } from 'hono/jwt'
import { given } from '../core/given.ts'
import type { Sending, TokenShape, Way } from '../edge/auth/sending.ts'
import type { Source } from '../edge/source/types.ts'
import { CannotSign } from './cannot-sign.ts'
import { type Draft, setHeader } from './draft.ts'
import { signDraft, withField } from './sign-draft.ts'

export interface SignedRequest {
  readonly method: string
  readonly url: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array<ArrayBuffer>
}

export interface ToSign {
  /** Where the relay is, without a trailing slash. */
  readonly origin: string
  readonly body: Uint8Array<ArrayBuffer>
  /** One of the source's secrets; of no use to a scheme that needs none. */
  readonly secret: string
  /** Epoch ms. */
  readonly nowMs: number
  /** Of the message, for schemes that send one. */
  readonly id: string
}

/** How long a token is good. */
const tokenSeconds = 300
const contentTypes = {
  json: 'application/json',
  form: 'application/x-www-form-urlencoded',
  text: 'text/plain; charset=utf-8',
}

/** @throws CannotSign where only the sender itself can, or the secret is none of the scheme */
export async function signRequest(source: Source, toSign: ToSign): Promise<SignedRequest> {
  const { name, auth, format, sampleHeaders, methods } = source
  const draft: Draft = {
    method: methods.includes('POST') ? 'POST' : (methods[0] ?? 'POST'),
    url: `${toSign.origin}/hooks/${name}`,
    // The mapping may read them.
    headers: new Headers({ 'content-type': contentTypes[format], ...sampleHeaders }),
    body: toSign.body,
  }
  const problem = await authenticate(auth.sending, draft, toSign)
  if (problem !== undefined) throw new CannotSign(problem)
  return { ...draft, headers: Object.fromEntries(draft.headers) }
}

/** Writes what authenticates a request into it. @returns why it can't */
async function authenticate(sending: Sending | undefined, draft: Draft, toSign: ToSign): Promise<string | undefined> {
  const { secret } = toSign
  switch (sending?.by) {
    case undefined:
      return 'its scheme does not say how its sender signs (docs/sources.md, "A scheme of your own")'
    case 'private-key':
      return 'only the sender itself can sign: it has the private key'
    case 'bearer':
      return setHeader(draft, 'authorization', `Bearer ${secret}`)
    case 'basic':
      return setHeader(draft, 'authorization', `Basic ${Buffer.from(secret).toString('base64')}`)
    case 'header':
      return setHeader(draft, sending.name, secret)
    case 'query': {
      const url = new URL(draft.url)
      url.searchParams.append(sending.name, secret)
      draft.url = url.href
      return undefined
    }
    case 'field': {
      const body = withField(draft.body, sending.path, secret)
      if (body === undefined) return `the body has no place for ${sending.path}`
      draft.body = body
      return undefined
    }
    case 'token':
      return setHeader(draft, sending.token.header ?? 'authorization', await tokenOf(sending.token, draft, toSign))
    case 'either':
      return firstWay(sending.ways, draft, toSign)
    case 'signature':
      return signDraft(sending, draft, toSign)
  }
}

/** The first way that works with the secret. */
async function firstWay(ways: readonly Way[], draft: Draft, toSign: ToSign): Promise<string | undefined> {
  let problem = 'the secret begins with none of its labels'
  for (const { label, sending } of ways) {
    if (label !== undefined && !toSign.secret.startsWith(`${label}:`)) continue
    const secret = label === undefined ? toSign.secret : toSign.secret.slice(label.length + 1)
    const why = await authenticate(sending, draft, { ...toSign, secret })
    if (why === undefined) return undefined
    problem = why
  }
  return problem
}

async function tokenOf(token: TokenShape, { body }: Draft, { secret, nowMs, id }: ToSign): Promise<string> {
  const now = Math.floor(nowMs / 1_000)
  const hash = token.body === undefined ? undefined : createHash('sha256').update(body).digest(token.body.encoding)
  const claims = {
    ...given({ iss: token.issuer, aud: token.audience, sub: token.subject }),
    iat: now,
    nbf: now,
    exp: now + tokenSeconds,
    jti: id,
    ...(token.body === undefined ? {} : { [token.body.claim]: hash }),
  }
  const signed = await signToken(claims, secret, 'HS256')
  return (token.header ?? 'authorization').toLowerCase() === 'authorization' ? `Bearer ${signed}` : signed
}
