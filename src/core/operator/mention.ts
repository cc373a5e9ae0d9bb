/**
 * Whether a raw event is about a visitor. It could not be mapped, so only its text can tell.
 *
 * It is about them where their id is a whole value in it. An id within a longer text, as the name of a field, or in
 * other case may be somebody else's (`42` is part of many amounts, `A1` is not `a1`): that is for a person to decide.
 * Known hole: a number that happens to be the id is taken for it; an id that only the mapping makes is not found.
 */

/** `about`: a whole value is the id. `mentioned`: the id occurs in another way. */
export type Mention = 'about' | 'mentioned' | 'none'

/** JSON in a text in JSON, and so on: as deep as any sender has been seen to wrap it. */
const maxWraps = 4
/** What a form looks like on the wire, where all else is escaped. */
const formShape = /^[^\s<>{}"]*=[^\s<>{}"]*$/
/** Letters and digits, and what ids are joined with: beside one of these a token is a part of a longer one. */
const joined = /[\p{L}\p{N}\p{M}\p{Cs}_.@/+:%-]/u

/** @param raw the body of an event, whatever it is; @param id the visitor's own id */
export function mentionOf(raw: string, id: string): Mention {
  const folded = id.toLowerCase()
  const holds = (text: string) => text.toLowerCase().includes(folded)
  let mentioned = holds(raw)
  for (const { text, isValue } of piecesOf(raw)) {
    if (isValue && isThe(id, text)) return 'about'
    mentioned ||= holds(text) || (text.includes('%') && holds(percentDecoded(text)))
  }
  return mentioned ? 'mentioned' : 'none'
}

interface Piece {
  readonly text: string
  readonly isValue: boolean
}

function isThe(id: string, text: string): boolean {
  return text === id || text.trim() === id
}

function* piecesOf(raw: string): Generator<Piece> {
  if (isJson(raw)) yield* piecesOfJson(raw, 0)
  else if (formShape.test(raw.trim()))
    for (const [name, value] of new URLSearchParams(raw.trim())) {
      yield { text: name, isValue: false }
      yield* piecesOfText(value, 0)
    }
  else yield* tokensOf(raw)
}

function* piecesOfText(text: string, wraps: number): Generator<Piece> {
  yield { text, isValue: true }
  if (wraps < maxWraps && /^\s*[{["]/.test(text) && isJson(text)) yield* piecesOfJson(text, wraps + 1)
}

/** From the text and not from what it parses to: that has doubles for long numbers, and one of two fields of a name. */
function* piecesOfJson(json: string, wraps: number): Generator<Piece> {
  for (let index = 0; index < json.length; index++) {
    const char = json[index] ?? ''
    const start = index
    if (char === '"') {
      for (index++; json[index] !== '"'; index++) if (json[index] === '\\') index++
      const text = JSON.parse(json.slice(start, index + 1)) as string
      if (/^\s*:/.test(json.slice(index + 1, index + 16))) yield { text, isValue: false }
      else yield* piecesOfText(text, wraps)
    } else if (/[-\d]/.test(char)) {
      while (/[-+.\deE]/.test(json[index + 1] ?? '')) index++
      const text = json.slice(start, index + 1)
      yield { text, isValue: true }
      // As a mapping would write it: 42.0 is 42.
      yield { text: String(Number(text)), isValue: true }
    }
  }
}

function* tokensOf(text: string): Generator<Piece> {
  let token = ''
  for (const char of text) {
    if (joined.test(char)) token += char
    else {
      if (token !== '') yield { text: token, isValue: true }
      token = ''
    }
  }
  if (token !== '') yield { text: token, isValue: true }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
