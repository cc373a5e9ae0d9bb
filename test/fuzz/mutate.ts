/** Small changes to a text or to bytes, of the kinds that senders, proxies, editors and attackers make. */
import type { Draw } from './draw.ts'

const pieces = [
  ...['9007199254740993', '820982911946154508', '-0', '1e999', '1E400', '0.1e-400', '0x1', '1'.repeat(400), '01'],
  ...[
    'null',
    'true',
    '{}',
    '[]',
    '""',
    '"__proto__":{"a":1},',
    '"constructor":1,',
    '"a":1,"a":2,',
    '{"a":'.repeat(40),
    '['.repeat(40),
  ],
  ...[
    '\uFEFF',
    '\uFEFF\uFEFF',
    '\u2028',
    '\u0000',
    '\\u0000',
    '\\ud800',
    '\u200F',
    'é',
    'e\u0301',
    '😀',
    '\uFFFD',
    '\r\n',
    '\n\n',
    '\t',
  ],
  ...['%', '%00', '%zz', '%E4', '&', '=', '+', ';', ',', '"', "'", '\\', '/', '#', '?', '<script>', '../', '{{now.s}}'],
  ...[
    'undefined',
    'NaN',
    '[object Object]',
    ' ',
    '2026-13-45T25:61:61Z',
    '2026-11-27T10:00:00+0000',
    'batch=',
    'sep=;\n',
    'thirdPartyId',
  ],
] as const

/** The result is well-formed, since it is signed as text and sent as bytes. */
export function mutateText(draw: Draw, text: string): string {
  let changed = text
  for (let times = 1 + draw.int(3); times > 0; times--) changed = mutateOnce(draw, changed)
  return changed.toWellFormed()
}

/** Mostly the changes that keep JSON valid. */
const kinds = [0, 1, 2, 3, 4, 5, 5, 5, 5, 6, 6, 7, 8]

function mutateOnce(draw: Draw, text: string): string {
  const [from, to] = [draw.int(text.length + 1), draw.int(text.length + 1)].sort((a, b) => a - b) as [number, number]
  const end = Math.min(to, from + 200)
  switch (draw.pick(kinds)) {
    case 0:
      return text.slice(0, from) + text.slice(end)
    case 1:
      return text.slice(0, end) + text.slice(from)
    case 2:
      return text.slice(0, from)
    case 3:
      return draw.pick(pieces) + text
    case 4:
      return text + draw.pick(pieces)
    case 5:
      // Replaces one value.
      return text.replace(/:\s*("[^"]*"|[\d.]+|null|true|false)/g, (found) =>
        draw.chance(0.1) ? `:${draw.pick(pieces)}` : found,
      )
    case 6:
      return text.replace(/"(\w+)":/g, (found, name: string) => (draw.chance(0.1) ? `"${name}":0,${found}` : found))
    case 7:
      return text.slice(0, from) + draw.pick(pieces) + text.slice(end)
    default:
      return text.slice(0, from) + draw.pick(pieces) + text.slice(from)
  }
}

export function mutateBytes(draw: Draw, bytes: Buffer): Buffer {
  const [from, to] = [draw.int(bytes.length + 1), draw.int(bytes.length + 1)].sort((a, b) => a - b) as [number, number]
  const end = Math.min(to, from + 64)
  const insert = draw.chance(0.5)
    ? Buffer.from(Array.from({ length: 1 + draw.int(6) }, () => draw.int(256)))
    : Buffer.from(draw.pick(pieces))
  switch (draw.int(5)) {
    case 0:
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(end)])
    case 1:
      return Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(end)])
    case 2:
      return Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(from)])
    case 3:
      return bytes.subarray(0, from)
    default: {
      const changed = Buffer.from(bytes)
      if (changed.length > 0) changed[draw.int(changed.length)] = draw.int(256)
      return changed
    }
  }
}
