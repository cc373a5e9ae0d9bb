/** `target-relay verify`: compares a visitor's profile in Target with what the relay sent and still holds back. */

import { parseArgs } from 'node:util'
import * as z from 'zod'
import { given } from '../core/given.ts'
import { type Verdict, verdictOf } from '../core/operator/visitor/verdict.ts'
import { parseSettings } from '../relay/settings.ts'
import { type Command, exit } from './command.ts'
import { Failed, Misuse } from './errors.ts'
import { adminClient, answered } from './relay-client.ts'

const isObject = (given: unknown): given is object =>
  typeof given === 'object' && given !== null && !Array.isArray(given)
/**
 * Target's profile, as its fetch API has it; attribute names without `profile.`. Zod's own record leaves `__proto__`
 * out.
 */
const profile = z.looseObject({ profileAttributes: z.custom<Record<string, unknown>>(isObject).nullish() })
type Held = Readonly<Record<string, { readonly value?: unknown; readonly modifiedAt?: unknown }>>

const whereabouts = z.looseObject({
  attributes: z.array(
    z.looseObject({
      name: z.string(),
      deliveredAt: z.string().optional(),
      openAt: z.string().optional(),
      waitingAt: z.array(z.string()),
    }),
  ),
  heldUntil: z.string().optional(),
  more: z.boolean().optional(),
  complete: z.boolean().optional(),
  unreadable: z.number().optional(),
  entries: z.number().optional(),
  // An older relay has neither.
  dead: z
    .array(
      z.looseObject({
        at: z.string().optional(),
        reason: z.string(),
        source: z.string().optional(),
        detail: z.string().optional(),
      }),
    )
    .default([]),
  history: z
    .array(
      z.looseObject({
        at: z.string(),
        what: z.string(),
        source: z.string().optional(),
        names: z.array(z.string()).optional(),
        reason: z.string().optional(),
        merged: z.number().optional(),
      }),
    )
    .default([]),
})
type Known = z.output<typeof whereabouts>['attributes']

const shownChars = 40

export const verify: Command = {
  summary: "compare a visitor's profile in Target with what was sent",
  usage: `target-relay verify <thirdPartyId> [--relay <url>]
target-relay verify --pc-id <pcId> [--relay <url>]

Asks Target's profile fetch what it holds, and the relay (ADMIN_TOKEN) what it delivered and still holds back, its dead letters
and what happened last. Settings:
TARGET_CLIENT_CODE, and TARGET_TOKEN where the account requires one. Target shows an update usually within an hour, at
most after 24. Exit 1 where the profile is unknown or lacks something, there is a dead letter, or not all could be compared.`,

  async run({ args, env, out }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { 'pc-id': { type: 'string' }, relay: { type: 'string' } },
    })
    const pcId = values['pc-id']
    const [thirdPartyId] = positionals
    if ((pcId === undefined) === (thirdPartyId === undefined) || positionals.length > 1)
      throw new Misuse('name one visitor')
    const visitor = pcId === undefined ? { thirdPartyId: thirdPartyId ?? '' } : { pcId }
    const client = adminClient({ env }, values.relay)
    const target = targetOf(env)
    const found = await client.post('/admin/api/visitor', { visitor }, whereabouts)
    const { attributes, heldUntil, more, complete, unreadable, dead, history } = found
    const held = await fetchProfile(target, visitor)

    if (held === undefined)
      out('Target knows no such profile: it ignores updates of it without a word, until the visitor comes to the site')
    const rows = rowsOf(attributes, held ?? {})
    if (rows.length > 0) for (const line of table(rows)) out(line)
    else if ((found.entries ?? 0) + dead.length + history.length === 0) out('the relay knows nothing of this visitor')
    else out('nothing of this visitor was delivered')
    if (more === true) out('the relay knows of more attributes than these')
    if (complete === false) out('more waits than the relay read: the oldest are shown')
    if (unreadable !== undefined && unreadable > 0) out(`${unreadable} that wait can be read by no key or version`)
    if (heldUntil !== undefined) out(`held back by its source until ${heldUntil}`)
    const known = new Set(attributes.map(({ name }) => name))
    const others = Object.keys(held ?? {}).filter((name) => !known.has(name)).length
    if (others > 0) out(`${others} more in Target that this relay knows nothing of`)
    for (const line of told(found)) out(line)
    return held !== undefined && more !== true && dead.length === 0 && rows.every(({ verdict }) => verdict === 'there')
      ? exit.ok
      : exit.failed
  },
}

interface Target {
  readonly origin: string
  readonly clientCode: string
  readonly token?: string
}

function targetOf(env: Readonly<Record<string, string | undefined>>): Target {
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('TARGET_')))
  const parsed = parseSettings({ HASH_KEY: 'of no use here, but it must be there', ...own })
  if (!parsed.ok) throw new Misuse(parsed.problems.join('; '))
  const { targetOrigin: origin, targetClientCode: clientCode, targetToken: token } = parsed.settings
  return { origin, clientCode, ...given({ token }) }
}

/** Undefined if Target does not know the profile. */
async function fetchProfile(
  { origin, clientCode, token }: Target,
  visitor: { pcId: string } | { thirdPartyId: string },
): Promise<Held | undefined> {
  const path =
    'pcId' in visitor ? encodeURIComponent(visitor.pcId) : `thirdPartyId/${encodeURIComponent(visitor.thirdPartyId)}`
  const { status, body } = await answered(`${origin}/rest/v1/profiles/${path}?client=${clientCode}`, {
    headers: { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  })
  if (status === 404) return undefined
  if (status === 401 || status === 403) throw new Failed('Target does not take TARGET_TOKEN')
  if (status !== 200)
    throw new Failed(`Target answered ${status}; ask again later, or check TARGET_ORIGIN and TARGET_CLIENT_CODE`)
  const parsed = profile.safeParse(body)
  if (!parsed.success) throw new Failed(`what ${origin} answered is no profile: check TARGET_ORIGIN`)
  return Object.fromEntries(
    Object.entries(parsed.data.profileAttributes ?? {}).filter(([, attribute]) => isObject(attribute)),
  ) as Held
}

interface Row {
  readonly name: string
  readonly verdict: Verdict
  readonly inTarget: string
  readonly delivered: string
  readonly waiting: string
}

function rowsOf(attributes: Known, held: Held): readonly Row[] {
  return attributes.map(({ name, deliveredAt, openAt, waitingAt }) => {
    const there = Object.hasOwn(held, name) ? held[name] : undefined
    return {
      name,
      verdict: verdictOf({ deliveredAt, openAt, waitingAt }, there),
      inTarget: there === undefined ? '-' : JSON.stringify(there.value ?? null).slice(0, shownChars),
      delivered: deliveredAt ?? '-',
      waiting: waitingAt.length === 0 ? '-' : `${waitingAt.length}, of ${waitingAt.at(-1)}`,
    }
  })
}

/** Its dead letters and its time line. */
function* told({ dead, history }: z.output<typeof whereabouts>): Generator<string> {
  for (const { at, reason, source, detail } of dead)
    yield joined(['dead letter', at, reason, source && `from ${source}`, detail && `: ${detail}`])
  for (const { at, what, reason, source, names, merged } of history)
    yield joined([
      at,
      what,
      reason,
      source && `from ${source}`,
      names && `: ${names.join(', ')}`,
      merged && `(${merged} more in this call)`,
    ])
}

function joined(parts: readonly (string | number | undefined)[]): string {
  return parts
    .filter((part) => part !== undefined && part !== '')
    .join(' ')
    .replaceAll(' :', ':')
}

function* table(rows: readonly Row[]): Generator<string> {
  const head = ['attribute', '', 'in Target', 'delivered (its time)', 'waiting']
  const cells = [
    head,
    ...rows.map(({ name, verdict, inTarget, delivered, waiting }) => [name, verdict, inTarget, delivered, waiting]),
  ]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  for (const row of cells)
    yield row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
}
