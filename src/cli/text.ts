/**
 * Text out of files.
 *
 * Guarantee (G6): what comes out is what was written, in what a byte order mark says, else in what the user says, else
 * in UTF-8. Bytes that are no text in it are refused with their line, and never replaced: Müller and Möller would
 * become one.
 */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { isFromOutside, Misuse } from './errors.ts'

const marks: readonly (readonly [label: string, mark: readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
]
const longestMark = 3
const [lineFeed, carriageReturn] = [0x0a, 0x0d]
const readAtOnce = 1_048_576
/** Longer than any line that a relay takes. */
const longestLineBytes = 8 * readAtOnce
const sniffedBytes = 4_096

/** @throws Misuse if there is no such encoding */
export function wantEncoding(label: string | undefined): void {
  try {
    new TextDecoder(label)
  } catch {
    throw new Misuse(
      '--encoding is none that is known here: give a name of the Encoding Standard, such as windows-1252, utf-16le, shift_jis',
    )
  }
}

/** A file's beginning, to detect its format; bytes that are not text are ignored here. */
export async function beginningOf(file: string, encoding?: string): Promise<string> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(sniffedBytes), 0, sniffedBytes, 0)
    const { label, markBytes } = encodingOf(buffer, encoding)
    return new TextDecoder(label).decode(buffer.subarray(markBytes, bytesRead))
  } finally {
    await handle.close()
  }
}

/** @throws Misuse where it is no text to its end; what can't be read is said where its rows are read */
export async function wantText(file: string, encoding?: string): Promise<void> {
  try {
    for await (const _ of textOf(file, encoding));
  } catch (error) {
    if (!isFromOutside(error)) throw error
  }
}

/** A file's text, in pieces that end where lines do. @throws Misuse where it is no text */
export async function* textOf(file: string, encoding?: string): AsyncGenerator<string> {
  let text: StrictText | undefined
  let rest: Uint8Array = new Uint8Array()
  for await (const chunk of createReadStream(file, { highWaterMark: readAtOnce }) as AsyncIterable<Uint8Array>) {
    rest = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk])
    if (text === undefined && rest.byteLength < longestMark) continue
    text ??= new StrictText(file, encodingOf(rest, encoding))
    const end = text.endOfLines(rest)
    if (end > 0) yield text.read(rest.subarray(0, end))
    else if (rest.byteLength > longestLineBytes)
      throw text.refused(`is longer than ${longestLineBytes} bytes: is it a file of lines?`)
    rest = rest.subarray(end)
  }
  if (rest.byteLength > 0) yield (text ?? new StrictText(file, encodingOf(rest, encoding))).read(rest)
}

/** @param file its name, for the error @throws Misuse if it is not text */
export function decodeText(bytes: Uint8Array, file: string, encoding?: string): string {
  return new StrictText(file, encodingOf(bytes, encoding)).read(bytes)
}

interface Encoding {
  readonly label: string
  /** Of the byte order mark, which says more than the user. */
  readonly markBytes: number
}

function encodingOf(start: Uint8Array, given = 'utf-8'): Encoding {
  const [label = given, mark = []] =
    marks.find(([, bytes]) => bytes.every((byte, index) => start[index] === byte)) ?? []
  return { label, markBytes: mark.length }
}

/** Reads the pieces of one text, in their order. */
class StrictText {
  readonly #file: string
  readonly #decoder: TextDecoder
  /** Bytes of the smallest character. */
  readonly #width: 1 | 2
  #mark: number
  #line = 1

  constructor(file: string, { label, markBytes }: Encoding) {
    this.#file = file
    // A mark within the text is an ordinary character.
    this.#decoder = new TextDecoder(label, { fatal: true, ignoreBOM: true })
    this.#width = this.#decoder.encoding.startsWith('utf-16') ? 2 : 1
    this.#mark = markBytes
  }

  /** Behind the last line end, 0 where there is none. A carriage return counts where no line feed can belong to it. */
  endOfLines(bytes: Uint8Array): number {
    return this.#behindLast(bytes, lineFeed) || this.#behindLast(bytes.subarray(0, -this.#width), carriageReturn)
  }

  /** @param bytes that end where a line or the text does */
  read(bytes: Uint8Array): string {
    const own = bytes.subarray(this.#mark)
    this.#mark = 0
    const text = this.#decode(own) ?? this.#decodeLines(own)
    this.#line += linesIn(text)
    return text
  }

  refused(what: string): Misuse {
    return new Misuse(`${this.#file}, line ${this.#line}: ${what}`)
  }

  #decode(bytes: Uint8Array): string | undefined {
    try {
      const text = this.#decoder.decode(bytes)
      return text.includes('\0') ? undefined : text
    } catch {
      return undefined
    }
  }

  /** Only to find the line that is none. */
  #decodeLines(bytes: Uint8Array): never {
    const lineEnd = this.#behindLast(bytes, lineFeed) > 0 ? lineFeed : carriageReturn
    for (let at = 0; at < bytes.byteLength; ) {
      let end = at
      while (end < bytes.byteLength && !this.#isAt(bytes, end, lineEnd)) end += this.#width
      const line = bytes.subarray(at, end + this.#width)
      const text = this.#decode(line)
      if (text === undefined) throw this.#noText(line)
      this.#line += linesIn(text)
      at = end + this.#width
    }
    throw this.refused('is no text')
  }

  #noText(line: Uint8Array): Misuse {
    const name = this.#decoder.encoding.toUpperCase()
    if (this.#width === 1 && line.includes(0))
      return this.refused(
        `holds NUL, which no text does; where the file is UTF-16 without a byte order mark, say --encoding utf-16le or utf-16be`,
      )
    return this.refused(
      `is not ${name}. Save the file as UTF-8 (in Excel: "CSV UTF-8"), or say what it is: --encoding windows-1252 (Excel in Western Europe), windows-1250, shift_jis, …`,
    )
  }

  #behindLast(bytes: Uint8Array, char: number): number {
    if (this.#width === 1) return bytes.lastIndexOf(char) + 1
    for (let at = (bytes.byteLength & ~1) - 2; at >= 0; at -= 2) if (this.#isAt(bytes, at, char)) return at + 2
    return 0
  }

  #isAt(bytes: Uint8Array, at: number, char: number): boolean {
    if (this.#width === 1) return bytes[at] === char
    const low = this.#decoder.encoding === 'utf-16le' ? 0 : 1
    return bytes[at + low] === char && bytes[at + 1 - low] === 0
  }
}

function linesIn(text: string): number {
  return text.match(/\r\n|\n|\r/g)?.length ?? 0
}
