/**
 * Who an operator is: the holder of a token, as bearer or, for a browser, as basic; or who came through Cloudflare
 * Access.
 */
import { given } from '../../core/given.ts'
import { basicOf, bearerOf, placeOf } from './tokens.ts'

/** `admin` may do everything; `view` only looks, and sees no value. */
export type Role = 'admin' | 'view'

/** A token of `ADMIN_TOKEN` or `VIEW_TOKEN`. */
export interface OperatorToken {
  readonly token: string
  readonly role: Role
  /** Whose it is: stands in the audit. */
  readonly name?: string
}

export interface Who {
  readonly role: Role
  /** The token's name, or an e-mail address of Access; else the role. */
  readonly name: string
  /** A browser sends what authenticates it by itself, also for a page of somebody else. */
  readonly byItself: boolean
}

/**
 * An item of a list of tokens: a token, perhaps behind a name, `alice=…`. What a token of base64 ends with is no name's
 * `=`.
 */
export function namedToken(item: string): { readonly name?: string; readonly token: string } {
  const [, name, token = item] = /^([A-Za-z][\w.-]{0,31})=(?!=*$)(.+)$/.exec(item) ?? []
  return given({ name, token })
}

/** Whose token an Authorization header carries; all are compared. As basic, the user is the token's name or its role. */
export async function operatorOf(header: string | null, operators: readonly OperatorToken[]): Promise<Who | undefined> {
  const tokens = operators.map(({ token }) => token)
  const bearer = bearerOf(header)
  const basic = bearer === undefined ? basicOf(header) : undefined
  const holder = operators[await placeOf(bearer ?? basic?.password ?? '', tokens)]
  if (holder === undefined) return undefined
  const { role, name } = holder
  if (basic !== undefined && basic.user !== role && basic.user !== name) return undefined
  return { role, name: name ?? role, byItself: basic !== undefined }
}

/**
 * The operator whom Cloudflare Access names.
 *
 * @param email asked only where somebody may come that way
 */
export async function operatorByAccess(
  email: (() => Promise<string | undefined>) | undefined,
  allowed: readonly string[],
): Promise<Who | undefined> {
  if (email === undefined || allowed.length === 0) return undefined
  const name = (await email())?.toLowerCase()
  return name !== undefined && allowed.includes(name) ? { role: 'admin', name, byItself: true } : undefined
}
