/**
 * The file of refused rows (`send --errors`), one JSON object a line.
 *
 * Guarantee: it never overwrites the file that is sent, by whatever name, nor a file with other content; a run that
 * resumes another one appends to its file.
 * Known hole: rows that were in flight when a run was interrupted may be named again by the next.
 */
import { type BigIntStats, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import * as z from 'zod'
import { Failed, Misuse, reasonOf } from './errors.ts'
import { fileAt, isSame, linesOf, ownerOnly } from './files.ts'

const refusedLine = z.object({ line: z.int().min(0), message: z.string() })
const lineFeed = 0x0a

export interface RefusedFile {
  /** @throws Failed where the file can't be written */
  write(line: number, message: string): void
  close(): Promise<void>
}

/**
 * @param sent the file that is sent
 * @param goesOn whether it appends to the file
 * @throws Misuse before anything was changed
 */
export async function openRefused(file: string, sent: BigIntStats, goesOn: boolean): Promise<RefusedFile> {
  const there = await fileAt(file)
  if (there !== undefined && isSame(there, sent)) throw new Misuse(`--errors ${file} is the very file that is sent`)
  if (there?.isDirectory() === true) throw new Misuse(`${file} cannot be written: it is a directory`)
  const full = there?.isFile() === true && there.size > 0n
  if (full && !(await holdsRefused(file)))
    throw new Misuse(`--errors ${file} holds something else than refused rows: name another file`)
  const handle = await open(file, full && !goesOn ? 'w' : 'a', ownerOnly).catch(() => {
    throw new Misuse(`${file} cannot be written`)
  })
  // A run that was killed may have left half a line.
  let lead = full && goesOn && !(await endsInLine(file)) ? '\n' : ''
  return {
    write(line, message) {
      try {
        writeSync(handle.fd, `${lead}${JSON.stringify({ line, message })}\n`)
        lead = ''
      } catch (error) {
        throw new Failed(`${file} cannot be written (${reasonOf(error)})`)
      }
    },
    close: () => handle.close().catch(() => undefined),
  }
}

async function holdsRefused(file: string): Promise<boolean> {
  try {
    for await (const line of linesOf(file)) return refusedLine.safeParse(JSON.parse(line)).success
  } catch {
    // Not JSON, or unreadable: not to be overwritten.
  }
  return false
}

async function endsInLine(file: string): Promise<boolean> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const { buffer } = await handle.read(new Uint8Array(1), 0, 1, size - 1)
    return buffer[0] === lineFeed
  } finally {
    await handle.close()
  }
}
