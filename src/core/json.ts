/**
 * JSON read strictly and exactly (G6): what can be read in two ways is refused, and a number keeps each of its digits.
 *
 * Known hole: for a mapping a fraction, and an integer with an exponent, is the nearest double.
 */
import { defaultLimits } from './limits.ts'

export type ReadJson =
  | { readonly ok: true; readonly value: unknown }
  /** What is wrong and where, without any of the text. */
  | { readonly ok: false; readonly reason: string }

/** A number that keeps its JSON text, digit by digit; `JSON.stringify` writes that text again. */
export class JsonNumber {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }

  toJSON(): unknown {
    return rawJson(this.#text)
  }
}

/** Text that `JSON.stringify` writes verbatim: every runtime has it, TypeScript's types do not yet. */
export const { rawJSON: rawJson } = JSON as unknown as { readonly rawJSON: (text: string) => unknown }

/**
 * The third argument says how a number is written (ECMAScript's source text access), which is not in those types
 * either.
 */
type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown

/** More digits name nothing, and are slow to parse. */
const mostDigits = 1_000
/** No integer of fewer digits is unsafe. */
const mayBeUnsafe = /\d{16}/

/** For mappings: an integer beyond what a number tells from its neighbours (`Number.MAX_SAFE_INTEGER`) is a bigint. */
export function readEventJson(text: string): ReadJson {
  return read(text, mayBeUnsafe.test(text) ? bigIntegers : undefined)
}

/** JSON of an event as `readEventJson` gives it, with every digit of its integers. */
export function writeEventJson(event: unknown): string {
  return (
    JSON.stringify(event, (_, value: unknown) => (typeof value === 'bigint' ? rawJson(String(value)) : value)) ?? ''
  )
}

/** For what is passed on: every number is a `JsonNumber`. */
export function readExactJson(text: string): ReadJson {
  return read(text, (_, value, context) => (typeof value === 'number' ? new JsonNumber(String(context.source)) : value))
}

const bigIntegers: Reviver = (_, value, context) => {
  const digits = context.source ?? ''
  if (Number.isSafeInteger(value) || !/^-?\d+$/.test(digits)) return value
  if (digits.length > mostDigits) throw new TooLong(`holds an integer of more than ${mostDigits} digits`)
  return BigInt(digits)
}

class TooLong extends Error {}

function read(text: string, reviver: Reviver | undefined): ReadJson {
  try {
    const ambiguous = ambiguityOf(text)
    if (ambiguous !== undefined) return { ok: false, reason: ambiguous }
    return { ok: true, value: JSON.parse(text, reviver as Parameters<typeof JSON.parse>[1]) }
  } catch (error) {
    // The parser's own message quotes the text.
    return { ok: false, reason: error instanceof TooLong ? error.message : notJson }
  }
}

/** The reason for whatever no parser takes. */
export const notJson = 'is not JSON'

/**
 * What no honest sender writes, found before any parser recurses into it or picks one of two meanings: nesting that is
 * too deep, and a name that an object gives twice (RFC 8259 §4 leaves open which of them counts).
 */
function ambiguityOf(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  let name: string | undefined
  for (let index = 0; index < text.length; index++) {
    const char = text[index]
    if (char === '"') {
      const start = index++
      while (index < text.length && text[index] !== '"') index += text[index] === '\\' ? 2 : 1
      name = text.slice(start, index + 1)
    } else if (char === '{' || char === '[') {
      if (open.push(char === '{' ? new Set() : undefined) > defaultLimits.jsonDepth)
        return `is nested deeper than ${defaultLimits.jsonDepth} levels (at character ${index + 1})`
    } else if (char === '}' || char === ']') open.pop()
    else if (char === ':') {
      const names = open.at(-1)
      // A colon follows the name of a field, once: anything else is not JSON, and not worth reading further.
      if (names === undefined || name === undefined) return notJson
      // Escapes undone: "a" and "\u0061" are one name.
      const plain = JSON.parse(name) as string
      if (names.has(plain))
        return `gives one name twice in one object (the second before character ${index + 1}): each name once`
      names.add(plain)
      name = undefined
    }
  }
  return undefined
}
