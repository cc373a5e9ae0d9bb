/**
 * `target-relay dead export|import`: dead letters whole, as lines of JSON in a file.
 *
 * Guarantee: a file is there only once its export is whole; an import may be run again, and keeps each letter once.
 */
import { existsSync } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type * as z from 'zod'
import { counted, figure } from '../core/words.ts'
import { imported, letters } from '../edge/contract/dead.ts'
import { relayOptions, wantArguments } from './asking.ts'
import { type Exit, exit, type Io } from './command.ts'
import { type Filter, filterOf, filterOptions } from './dead-filter.ts'
import { Failed, Misuse } from './errors.ts'
import { linesOf, ownerOnly, wantFile } from './files.ts'
import { adminClient, type RelayClient } from './relay-client.ts'

type Imported = z.output<typeof imported>

/** Of one request; a relay takes 16 MB. */
const importBytes = 4_000_000

export async function exportDead({ args, env, out, err, progress }: Io): Promise<Exit> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...relayOptions, ...filterOptions },
    allowPositionals: true,
  })
  const [file] = positionals
  wantArguments(positionals, 1)
  if (file === undefined) throw new Misuse('name a file')
  if (existsSync(file)) throw new Misuse(`${file} already exists`)
  const filter = filterOf(values)
  const client = adminClient({ env }, values.relay)
  const unfinished = `${file}.part`
  const written = await open(unfinished, 'w', ownerOnly)
  try {
    const counts = await writeLetters(client, await queryOf(client, filter), written, (soFar) => progress?.(soFar))
    progress?.('')
    await written.sync()
    await written.close()
    await rename(unfinished, file)
    out(values.json ? JSON.stringify(counts) : `${counted(counts.letters, 'letter')} written to ${file}`)
    if (counts.unreadable > 0)
      err(`${counted(counts.unreadable, 'letter')} could not be read: only their keys are written (target-relay keys)`)
    return counts.unreadable > 0 ? exit.failed : exit.ok
  } catch (error) {
    await written.close()
    await rm(unfinished, { force: true })
    throw error
  }
}

/** An id has no place in an address: there the keyed hash, which the visitor's letters bear. */
async function queryOf(client: RelayClient, { visitor, ...filter }: Filter): Promise<URLSearchParams | undefined> {
  const query = new URLSearchParams(filter)
  if (visitor === undefined) return query
  const [first] = (await client.post('/admin/api/dead/list', { ...filter, visitor, limit: 1 }, letters)).letters
  if (first?.visitor === undefined) return undefined
  query.set('visitor', first.visitor)
  return query
}

/** @param query undefined where there is nothing to export */
async function writeLetters(
  client: RelayClient,
  query: URLSearchParams | undefined,
  file: Pick<FileHandle, 'write'>,
  tell: (soFar: string) => void,
): Promise<{ letters: number; unreadable: number }> {
  const counts = { letters: 0, unreadable: 0 }
  for (let goesOn = query !== undefined; goesOn; ) {
    goesOn = false
    let isWhole = false
    for await (const line of client.lines(`/admin/api/dead/export?${query}`)) {
      const read = JSON.parse(line) as { key?: string; unreadable?: string; cursor?: string; complete?: true }
      if (read.key !== undefined) {
        await file.write(`${line}\n`)
        if (read.unreadable === undefined) counts.letters++
        else counts.unreadable++
        continue
      }
      isWhole = true
      if (read.cursor === undefined) continue
      query?.set('cursor', read.cursor)
      goesOn = true
    }
    if (!isWhole) throw new Failed('the relay broke off in the middle: export again')
    tell(`${counted(counts.letters, 'letter')} written`)
  }
  return counts
}

export async function importDead({ args, env, out, progress }: Io): Promise<Exit> {
  const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
  const [file] = positionals
  wantArguments(positionals, 1)
  if (file === undefined) throw new Misuse('name a file')
  await wantFile(file)
  const client = adminClient({ env }, values.relay)
  const sum: Record<keyof Imported, number> = { kept: 0, other: 0, unreadable: 0, foreign: 0 }
  for await (const lines of batchesOf(file)) {
    const { said } = await client.tellLines('/admin/api/dead/import', lines, imported)
    for (const name of Object.keys(sum) as (keyof Imported)[]) sum[name] += said[name]
    progress?.(`${counted(sum.kept, 'letter')} brought back`)
  }
  progress?.('')
  if (values.json) out(JSON.stringify(sum))
  else {
    out(`${counted(sum.kept, 'letter')} brought back`)
    if (sum.unreadable > 0) out(`${figure(sum.unreadable)} lines are no letters`)
    if (sum.foreign > 0) out(`${figure(sum.foreign)} are of a relay with another HASH_KEY`)
  }
  return sum.unreadable + sum.foreign > 0 ? exit.failed : exit.ok
}

async function* batchesOf(file: string): AsyncGenerator<readonly string[]> {
  let [lines, bytes]: [string[], number] = [[], 0]
  for await (const line of linesOf(file)) {
    if (line.trim() === '') continue
    const size = Buffer.byteLength(line)
    if (lines.length > 0 && bytes + size > importBytes) {
      yield lines
      lines = []
      bytes = 0
    }
    lines.push(line)
    bytes += size
  }
  if (lines.length > 0) yield lines
}
