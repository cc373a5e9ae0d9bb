/**
 * Traffic out of files, line by line, also packed by gzip.
 *
 * Guarantee (G8): of ids and values nothing is kept but numbers, and no error repeats a cell.
 * Known hole: values are compared by 31 bits of a hash: one pair in two thousand million counts as the same.
 */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { parse as csvParser } from 'csv-parse'
import { readTime } from '../../core/time.ts'
import type { Take } from '../../plan/traffic.ts'
import { Misuse } from '../errors.ts'
import { wantFile } from '../files.ts'

const [gzipFirst, gzipSecond] = [0x1f, 0x8b]
/** An update that is older than the one before by no more than this counts as of its time. */
const toleranceMs = 60_000
/** A plan counts whole ms in 32 bits. */
const longestDays = 45
const namesAtMost = 4_096

/** @throws Misuse if it can't be read, or not unpacked */
async function bytesOf(file: string): Promise<Readable> {
  await wantFile(file)
  const handle = await open(file)
  const { buffer } = await handle.read(new Uint8Array(2), 0, 2, 0).finally(() => handle.close())
  const bytes = createReadStream(file)
  if (buffer[0] !== gzipFirst || buffer[1] !== gzipSecond) return bytes
  const unpacked = createGunzip()
  bytes.on('error', (error) => unpacked.destroy(error)).pipe(unpacked)
  return unpacked
}

/** Gives times in their order; small steps back count as none. */
function inOrder(file: string): (atMs: number, line: number) => number {
  let [firstMs, lastMs] = [Number.NaN, 0]
  return (atMs, line) => {
    if (Number.isNaN(firstMs)) firstMs = atMs
    if (atMs < lastMs - toleranceMs)
      throw new Misuse(`${file}, line ${line}: is earlier than the line before: sort the file by its time`)
    if (atMs - firstMs > longestDays * 86_400_000)
      throw new Misuse(`${file}, line ${line}: is more than ${longestDays} days after the first: plan a part of it`)
    lastMs = Math.max(lastMs, atMs)
    return lastMs
  }
}

export interface CsvTraffic {
  /** Whether the file says what the values are. */
  readonly hasValues: boolean
  /** Epoch ms of the first update; undefined where there is none. */
  readonly firstMs: number | undefined
}

/** The header, and when the first update arrives. @throws Misuse */
export async function lookAtCsv(file: string): Promise<CsvTraffic> {
  for await (const { columns, cells, line } of csvLines(file))
    return { hasValues: columns.value !== undefined, firstMs: timeOf(file, line, cells[columns.time]) }
  return { hasValues: false, firstMs: undefined }
}

/** @throws Misuse with the line that is wrong */
export async function sendCsv(file: string, take: Take): Promise<void> {
  const visitors = new Map<string, number>()
  const names = new Map<string, number>()
  const registers = new Map<number, number>()
  const order = inOrder(file)
  let [numbers, values] = [new Int32Array(8), new Int32Array(8)]
  for await (const { columns, cells, line } of csvLines(file)) {
    const who = cells[columns.visitor] ?? ''
    if (who === '') throw new Misuse(`${file}, line ${line}: has no visitor`)
    const atMs = order(timeOf(file, line, cells[columns.time]), line)
    const visitor = numberOf(visitors, who)
    const attributes = columns.attributes === undefined ? '' : (cells[columns.attributes] ?? '')
    const value = columns.value === undefined ? 0 : hashOf(cells[columns.value] ?? '')
    let count = 0
    for (const name of attributes.split(';')) {
      const trimmed = name.trim()
      if (trimmed === '' && attributes !== '') continue
      const known = numberOf(names, trimmed)
      if (known >= namesAtMost)
        throw new Misuse(`${file}, line ${line}: has more than ${namesAtMost} names of attributes`)
      if (count === numbers.length) {
        numbers = Int32Array.from({ length: count * 2 }, (_, at) => numbers[at] ?? 0)
        values = Int32Array.from({ length: count * 2 }, (_, at) => values[at] ?? 0)
      }
      numbers[count] = numberOf(registers, visitor * namesAtMost + known)
      values[count++] = value
    }
    take(atMs, visitor, numbers, values, count)
  }
}

/**
 * When updates were taken in, by the `request` lines of a relay's log: a POST that was answered 2xx. They say neither whose
 * they were nor what was in them.
 */
export async function* logTimes(file: string): AsyncGenerator<number> {
  const order = inOrder(file)
  let [line, rest] = [0, '']
  const decoder = new TextDecoder()
  const timesOf = function* (lines: readonly string[]) {
    for (const text of lines) {
      line++
      const atMs = requestTime(text)
      if (atMs !== undefined) yield order(atMs, line)
    }
  }
  for await (const chunk of await bytesOf(file)) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* timesOf(lines)
  }
  yield* timesOf([rest])
}

const updateRoutes = /^\/(hooks|v1|m2)\//

function requestTime(text: string): number | undefined {
  if (!text.includes('"request"')) return undefined
  let line: Record<string, unknown>
  try {
    line = JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
  const { event, method, route, status, time } = line
  const isUpdate = event === 'request' && method === 'POST' && updateRoutes.test(String(route))
  return isUpdate && Number(status) >= 200 && Number(status) < 300 ? readTime(time) : undefined
}

interface Columns {
  readonly time: number
  readonly visitor: number
  readonly attributes: number | undefined
  readonly value: number | undefined
}

const columnNames = ['time', 'visitor', 'attributes', 'value']

async function* csvLines(
  file: string,
): AsyncGenerator<{ readonly columns: Columns; readonly cells: readonly string[]; readonly line: number }> {
  const parser = csvParser({ bom: true, relax_column_count: true, skip_empty_lines: true, info: true })
  const input = await bytesOf(file)
  input.on('error', (error) => parser.destroy(error)).pipe(parser)
  let columns: Columns | undefined
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      if (columns === undefined) columns = columnsOf(file, record)
      else yield { columns, cells: record, line: info.lines }
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code.startsWith('CSV_')) throw new Misuse(`${file}: is no CSV (${code})`)
    if (code.startsWith('Z_')) throw new Misuse(`${file}: is no whole gzip file (${code})`)
    throw error
  } finally {
    input.destroy()
  }
}

function columnsOf(file: string, header: readonly string[]): Columns {
  const names = header.map((name) => name.trim().toLowerCase())
  const unknown = names.findIndex((name) => !columnNames.includes(name))
  if (unknown !== -1 || !names.includes('time') || !names.includes('visitor'))
    throw new Misuse(
      `${file}: the first line names the columns: time,visitor and, where known, attributes (names with ; between) and value (any text that is the same for the same values, such as a hash)${unknown === -1 ? '' : `; column ${unknown + 1} is none of them`}`,
    )
  const at = (name: string) => (names.includes(name) ? names.indexOf(name) : undefined)
  return {
    time: names.indexOf('time'),
    visitor: names.indexOf('visitor'),
    attributes: at('attributes'),
    value: at('value'),
  }
}

function timeOf(file: string, line: number, cell = ''): number {
  const atMs = readTime(cell)
  if (atMs === undefined)
    throw new Misuse(
      `${file}, line ${line}: its time is neither ISO 8601 with an offset nor epoch seconds or milliseconds`,
    )
  return atMs
}

function numberOf<Key>(numbers: Map<Key, number>, key: Key): number {
  const known = numbers.get(key)
  if (known !== undefined) return known
  numbers.set(key, numbers.size)
  return numbers.size - 1
}

/** FNV-1a in 31 bits; never 0, which stands for a value that is not known. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 1 || 1
}
