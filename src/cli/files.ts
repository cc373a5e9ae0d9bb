/** Files that a command reads: an unreadable one is reported before anything is done. */
import { type BigIntStats, constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import process from 'node:process'
import { buffer } from 'node:stream/consumers'
import { Misuse } from './errors.ts'
import { textOf } from './text.ts'

/** The mode of files that a command creates: they hold personal data. */
export const ownerOnly = 0o600

/** @throws Misuse if it is not a regular file that can be read more than once */
export async function wantFile(file: string): Promise<BigIntStats> {
  const found = await stat(file, { bigint: true }).catch((error: unknown) => {
    throw new Misuse(isMissing(error) ? `there is no file ${file}` : `${file} cannot be read`)
  })
  if (found.isDirectory()) throw new Misuse(`${file} is a directory`)
  // It is read more than once, and again when a run is resumed.
  if (!found.isFile())
    throw new Misuse(`${file} is no file but a pipe or a device: write what it gives to a file first`)
  await access(file, constants.R_OK).catch(() => {
    throw new Misuse(`${file} cannot be read: its permissions forbid it`)
  })
  return found
}

/** A whole file; of `-` standard input. @throws Misuse if it can't be read */
export async function readBytes(file: string): Promise<Uint8Array> {
  if (file === '-') return buffer(process.stdin)
  try {
    return await readFile(file)
  } catch {
    throw new Misuse(`${file} cannot be read`)
  }
}

/** Undefined if there is no such file. @throws Misuse if that can't be found out */
export async function fileAt(file: string): Promise<BigIntStats | undefined> {
  return stat(file, { bigint: true }).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw new Misuse(`${file} cannot be written`)
  })
}

/** Whether two names, links or not, are one file. */
export function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.dev === other.dev && one.ino === other.ino
}

/**
 * A text file's lines. Only a line feed ends one: Node's own reader also takes U+2028, which may stand within a value.
 * A read that fails is thrown where the lines are read.
 *
 * @param end what ends a line in files of a looser kind
 * @throws Misuse where it is no text
 */
export async function* linesOf(file: string, encoding?: string, end = /\r?\n/): AsyncGenerator<string> {
  let rest = ''
  for await (const piece of textOf(file, encoding)) {
    const lines = (rest + piece).split(end)
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
