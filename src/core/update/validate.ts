/**
 * Which visitors and attributes may go to Target (limits from Adobe's documentation). Problems
 * name fields and never repeat a value.
 */
import { JsonNumber, rawJson } from '../json.ts'
import type { Attribute, Visitor } from './update.ts'

/** One thing wrong with an update. */
export interface Problem {
  readonly path: string
  readonly message: string
}

/** Adobe: mbox3rdPartyId up to 256 characters, no `+` and no `/`. */
const maxThirdPartyIdChars = 256
/** Adobe: pcId 1 to 128 characters, one dot at most, before the location hint. */
const maxPcIdChars = 128
/** Adobe: profile parameter names up to 128 characters. */
const maxNameChars = 128
const maxEventIdChars = 256
/**
 * What JavaScript writes for a value that is missing or not text: under such an "id" everybody's data would be mixed.
 */
const noIds = /^(undefined|null|NaN|-?Infinity|Invalid Date|\[object [^\]]*\])$/
/** What nobody sees: white space, control characters, joiners and fillers of no width. */
const unseen = /^[\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]*$/u
/** Deeper than any real event; a bound on recursion. */
const maxDepth = 16
const controlCharacter = /\p{Cc}/u

/**
 * Names that Adobe reserves: refused rather than lost or colliding (`user.*` are scripts, `crs.*` customer attributes).
 */
const reservedNames = new Set([
  'orderId',
  'orderTotal',
  'productPurchasedId',
  'productPurchasedIds',
  'browserTime',
  'averageDaysBetweenVisits',
  'sessionCount',
  'tntId',
  'marketingCloudVisitorId',
  'thirdPartyId',
  'categoryAffinity',
  'categoryAffinities',
])
const reservedPrefixes = ['user.', 'crs.', 'geolocation.', 'mobile.']

export type CheckedVisitor = { readonly ok: true; readonly visitor: Visitor } | Refused
export type CheckedAttributes = { readonly ok: true; readonly attributes: readonly Attribute[] } | Refused
interface Refused {
  readonly ok: false
  readonly problems: readonly Problem[]
}

/** Exactly one of `pcId` and `thirdPartyId`. */
export function validateVisitor(input: unknown): CheckedVisitor {
  if (!isRecord(input)) return refused('visitor', 'must be an object with either pcId or thirdPartyId')
  const given = Object.keys(input)
  if (given.some((key) => ['ecid', 'mcid', 'marketingcloudvisitorid'].includes(key.toLowerCase())))
    return refused('visitor', 'Target takes no ECID here: send its pcId (mboxPC, tntId) or your thirdPartyId')
  const unknown = given.filter((key) => key !== 'pcId' && key !== 'thirdPartyId')
  if (unknown.length > 0 || given.length !== 1)
    return refused('visitor', 'must have exactly one of pcId and thirdPartyId, and nothing else')

  if (Object.hasOwn(input, 'pcId')) {
    const pcId = input['pcId']
    if (typeof pcId !== 'string' || pcId.length > maxPcIdChars || !/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?$/.test(pcId))
      return refused(
        'visitor.pcId',
        `must be 1 to ${maxPcIdChars} letters, digits, _ or -, with at most one dot before the location hint`,
      )
    return { ok: true, visitor: { pcId } }
  }
  const thirdPartyId = input['thirdPartyId']
  if (typeof thirdPartyId !== 'string' || thirdPartyId.length === 0 || thirdPartyId.length > maxThirdPartyIdChars)
    return refused('visitor.thirdPartyId', `must be text of 1 to ${maxThirdPartyIdChars} characters`)
  if (/[+/]/.test(thirdPartyId))
    return refused('visitor.thirdPartyId', 'must not contain + or /, which Target does not accept in it')
  if (!thirdPartyId.isWellFormed() || controlCharacter.test(thirdPartyId))
    return refused('visitor.thirdPartyId', 'must be well-formed text without control characters')
  return { ok: true, visitor: { thirdPartyId } }
}

/** What is wrong with the id of a visitor or an event that names nobody or nothing; undefined where it may be an id. */
export function noId(id: string): string | undefined {
  const word = id.trim()
  if (unseen.test(word)) return 'is blank: give an id, or leave the update out'
  return noIds.test(word)
    ? 'is no id, but what JavaScript writes for a value that is missing or no text (undefined, null, NaN, [object Object]): look whether the field that it is taken from is there'
    : undefined
}

/** @param id text, whatever it holds */
export function eventIdProblem(id: string): string | undefined {
  const isLong = id.length === 0 || id.length > maxEventIdChars || !id.isWellFormed()
  return isLong ? `must have 1 to ${maxEventIdChars} characters of well-formed text` : noId(id)
}

/**
 * Attributes as Target takes them: strings as they are, numbers with the digits that they came with, booleans as JSON,
 * dates in ISO 8601, nested objects as dotted names, arrays as JSON text. What a mapping left `undefined` is left out,
 * as JSON does.
 */
export function flattenAttributes(input: unknown): CheckedAttributes {
  if (!isRecord(input)) return refused('attributes', 'must be an object of names and values')
  const problems: Problem[] = []
  const flat = new Map<string, string>()
  walk(input, '', 1)
  if (flat.size === 0 && problems.length === 0)
    problems.push({ path: 'attributes', message: 'must have at least one attribute' })
  return problems.length > 0
    ? { ok: false, problems }
    : { ok: true, attributes: [...flat].map(([name, value]) => ({ name, value })) }

  function walk(object: Record<string, unknown>, prefix: string, depth: number): void {
    for (const [key, value] of Object.entries(object)) {
      const name = prefix + key
      if (value === undefined) continue
      if (isRecord(value)) {
        if (depth >= maxDepth) problem(name, `is nested deeper than ${maxDepth} levels`)
        else if (Object.keys(value).length === 0) problem(name, 'is an empty object')
        else walk(value, `${name}.`, depth + 1)
      } else take(name, value)
    }
  }

  function take(name: string, value: unknown): void {
    const text = asText(value)
    const wrong =
      nameProblem(name) ??
      (flat.has(name) ? 'is given twice, once nested and once with a dotted name' : valueProblem(value, text))
    if (wrong !== undefined || text === undefined) problem(name, wrong ?? 'has no text')
    else flat.set(name, text)
  }

  function problem(name: string, message: string): void {
    problems.push({ path: `attributes.${name.slice(0, maxNameChars).toWellFormed()}`, message })
  }
}

function nameProblem(name: string): string | undefined {
  if (name.length === 0 || name.length > maxNameChars) return `a name has 1 to ${maxNameChars} characters`
  if (!name.isWellFormed() || controlCharacter.test(name))
    return 'a name is well-formed text without control characters'
  if (name.startsWith('profile.')) return 'the profile. prefix is added by the relay: leave it out'
  if (reservedNames.has(name) || reservedPrefixes.some((prefix) => name.startsWith(prefix)))
    return 'is a name that Target reserves'
  return undefined
}

function valueProblem(value: unknown, text: string | undefined): string | undefined {
  if (value === null) return 'is null: Target cannot clear an attribute; send a value of your own that means "none"'
  if (text === undefined) return 'must be a string, a number, a boolean, a date, an object or an array'
  return text.isWellFormed() ? undefined : 'holds half of a surrogate pair, which no encoding can carry'
}

function asText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'number':
      return Number.isFinite(value) ? JSON.stringify(value) : undefined
    case 'object':
      if (value instanceof JsonNumber) return String(value)
      return value instanceof Date ? isoText(value) : jsonText(value)
    default:
      return undefined
  }
}

function isoText(date: Date): string | undefined {
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

/** Undefined where JSON has no form for it: a mapping may return anything, circular objects too. */
function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? rawJson(String(inner)) : inner))
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Date) &&
    !(value instanceof JsonNumber)
  )
}

function refused(path: string, message: string): Refused {
  return { ok: false, problems: [{ path, message }] }
}
