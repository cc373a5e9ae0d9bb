/** What the commands have in common that ask a relay as an operator. */
import type { Io } from './command.ts'
import { Misuse } from './errors.ts'
import type { Said } from './relay-client.ts'

/** Options of each of them. */
export const relayOptions = { relay: { type: 'string' }, json: { type: 'boolean', default: false } } as const

/** Prints an answer in words, or with `--json` as it came. */
export function print<T>(
  { out }: Pick<Io, 'out'>,
  json: boolean,
  { said, whole }: Said<T>,
  inWords: (said: T) => Iterable<string>,
): void {
  if (json) out(JSON.stringify(whole))
  else for (const line of inWords(said)) out(line)
}

export type NamedVisitor = { readonly pcId: string } | { readonly thirdPartyId: string }

/** The visitor that a command names: an argument, or `--pc-id`. @throws Misuse where it is not exactly one */
export function visitorOf(thirdPartyId: string | undefined, pcId: string | undefined): NamedVisitor {
  if ((pcId === undefined) === (thirdPartyId === undefined)) throw new Misuse('name one visitor')
  return pcId === undefined ? { thirdPartyId: thirdPartyId ?? '' } : { pcId }
}

/** @throws Misuse where there are more arguments than `most` */
export function wantArguments(positionals: readonly string[], most: number): void {
  const [further] = positionals.slice(most)
  if (further !== undefined) throw new Misuse(`what is ${further}?`)
}
