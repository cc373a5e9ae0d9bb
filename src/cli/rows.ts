/**
 * Files of updates, row by row: Adobe's bulk format, CSV, NDJSON. One row is read at a time, however large the file.
 */

import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { parse as csvParser } from 'csv-parse'
import { given } from '../core/given.ts'
import { JsonNumber, notJson, readExactJson } from '../core/json.ts'
import { Misuse } from './errors.ts'
import { linesOf } from './files.ts'
import { beginningOf, textOf } from './text.ts'

/** One update as `POST /v1/updates` takes it, or what is wrong with its line. */
export type Row =
  | { readonly line: number; readonly update: RowUpdate }
  /** `ends`: the rows after it cannot be parsed. */
  | { readonly line: number; readonly error: string; readonly ends?: true }

export interface RowUpdate {
  readonly id?: unknown
  readonly visitor?: unknown
  readonly attributes?: unknown
  readonly occurredAt?: unknown
}

export const fileFormats = ['bulk', 'csv', 'ndjson'] as const
export type FileFormat = (typeof fileFormats)[number]

/** The first line of Adobe's bulk format. */
const bulkMark = 'batch='
const estimatedBytes = 65_536
const lineFeed = 0x0a
/** Adobe: a line ends as it likes. Cells are URL-encoded, so that none of them holds one. */
const anyLineEnd = /\r\n|\n|\r/
/** What stands between cells: behind the first column's name, or as Excel says it in a line before. */
const separatorLine = /^"?sep=([^"\r\n])"?(\r\n|\n|\r)/i
const headerStart = /^\s*"?(?:pcId|thirdPartyId)"?\s*([,;\t|])/

/**
 * The format of a readable file: by its beginning, otherwise by its name. @throws Misuse if neither tells
 */
export async function formatOf(file: string, encoding?: string): Promise<FileFormat> {
  const start = (await beginningOf(file, encoding)).trimStart()
  if (start.startsWith(bulkMark)) return 'bulk'
  if (start.startsWith('{') || /\.(ndjson|jsonl)$/i.test(file)) return 'ndjson'
  if (/\.csv$/i.test(file) || headerStart.test(start) || separatorLine.test(start)) return 'csv'
  if (start.startsWith('[')) throw new Misuse(`${file}: a JSON array? Write its objects one a line: jq -c '.[]'`)
  throw new Misuse(`${file}: neither Adobe's bulk format nor CSV nor NDJSON; say which with --format`)
}

/** Estimates a file's rows by its size and the lines at its beginning. Rejects if it can't be read. */
export async function estimateRows(file: string): Promise<number> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(new Uint8Array(estimatedBytes), 0, estimatedBytes, 0)
    const lines = buffer.subarray(0, bytesRead).filter((byte) => byte === lineFeed).length
    return bytesRead === 0 ? 0 : Math.round((size * Math.max(1, lines)) / bytesRead)
  } finally {
    await handle.close()
  }
}

/** @throws Misuse for an invalid header; what is wrong with a row is in the row */
export function readRows(file: string, format: FileFormat, encoding?: string): AsyncGenerator<Row> {
  return { bulk: bulkRows, csv: csvRows, ndjson: jsonRows }[format](file, encoding)
}

/**
 * `batch=` and the names, in one line or two; then rows of URL-encoded cells. Rows may be short, and empty cells are
 * passed over: they never clear anything.
 */
async function* bulkRows(file: string, encoding?: string): AsyncGenerator<Row> {
  let names: readonly string[] | undefined
  let line = 0
  for await (const text of linesOf(file, encoding, anyLineEnd)) {
    line++
    const content = line === 1 ? text.replace(bulkMark, '') : text
    if (content === '') continue
    const cells = content.split(',')
    if (names === undefined) {
      names = checkHeader(
        cells.map((cell) => decodeName(cell, file)),
        file,
      )
      continue
    }
    if (!isBlank(cells)) yield rowOf(line, names, cells, decode)
  }
}

async function* csvRows(file: string, encoding?: string): AsyncGenerator<Row> {
  // An unreadable file is reported where its rows are read.
  const start = await beginningOf(file, encoding).catch(() => '')
  const separator = separatorLine.exec(start)
  // By line. Only the code: the parser's messages hold values.
  const wrong = new Map<number, string>()
  const parser = csvParser({
    delimiter: separator?.[1] ?? headerStart.exec(start)?.[1] ?? ',',
    from_line: separator === null ? 1 : 2,
    relax_column_count: true,
    skip_empty_lines: true,
    info: true,
    skip_records_with_error: true,
    on_skip: (error) =>
      void wrong.set(Number((error as { lines?: number } | undefined)?.lines), error?.code ?? 'unreadable'),
  })
  const input = Readable.from(textOf(file, encoding))
  // A pipe alone does not pass errors on.
  input.on('error', (error) => parser.destroy(error)).pipe(parser)
  let names: readonly string[] | undefined
  let lastLine = 0
  for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
    lastLine = info.lines
    if (names === undefined) names = checkHeader(record, file)
    else if (!isBlank(record)) yield rowOf(info.lines, names, record, (cell) => cell)
  }
  for (const [line, code] of wrong) {
    // After a quote that is not closed no row can be parsed.
    if (code === 'CSV_QUOTE_NOT_CLOSED')
      yield {
        line: lastLine + 1,
        error: 'has a quote that is not closed, here or below: what follows cannot be told apart',
        ends: true,
      }
    else yield { line, error: code.endsWith('_QUOTE') ? strayQuote : `is no CSV (${code})` }
  }
}

/** One JSON object a line, as `POST /v1/updates` takes it. */
async function* jsonRows(file: string, encoding?: string): AsyncGenerator<Row> {
  let line = 0
  for await (const text of linesOf(file, encoding)) {
    line++
    if (text.trim() === '') continue
    const read = readExactJson(text)
    if (!read.ok) yield { line, error: read.reason === notJson ? `${notJson}: ${oneALine}` : read.reason }
    else if (isObject(read.value)) yield { line, update: read.value }
    else yield { line, error: `is no JSON object: ${oneALine}` }
  }
}

const oneALine = 'each line holds one whole object'

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
}

const strayQuote = 'has a quote within a cell: put the whole cell into quotes, and double each quote in it'

/** A row without content, as spreadsheets write them. */
function isBlank(cells: readonly string[]): boolean {
  return cells.every((cell) => cell.trim() === '')
}

const eventColumns: ReadonlySet<string> = new Set(['id', 'occurredAt'])
/** As a spreadsheet shows a long number: its digits are gone, and two ids may be one. */
const shortenedNumber = /^\d([.,]\d+)?E\+\d{2,3}$/i
const asText = 'format the column as text, and export it again'

/** The first column names the visitor; `id` and `occurredAt` are the event's, all others are attributes. */
function rowOf(line: number, names: readonly string[], cells: readonly string[], read: (cell: string) => string): Row {
  // Spreadsheets write empty cells after the last column.
  const nameless = cells.findIndex((cell, column) => column >= names.length && cell.trim() !== '')
  if (nameless !== -1)
    return { line, error: `has something in column ${nameless + 1}, and the header names ${names.length} columns` }
  const shortened = cells.findIndex(
    (cell, column) => (column === 0 || eventColumns.has(names[column] ?? '')) && shortenedNumber.test(cell.trim()),
  )
  if (shortened !== -1)
    return { line, error: `${names[shortened]} was shortened by a spreadsheet (like 1.79E+12): ${asText}` }
  const fields = new Map<string, string>()
  try {
    cells.forEach((cell, column) => {
      if (cell !== '') fields.set(names[column] ?? '', read(cell))
    })
  } catch {
    return { line, error: 'has a cell that is not URL-encoded UTF-8' }
  }
  const [visitorKind = ''] = names
  const who = fields.get(visitorKind)
  if (who === undefined) return { line, error: `has no ${visitorKind}` }
  const [id, occurredAt] = [fields.get('id'), fields.get('occurredAt')]
  for (const name of [visitorKind, 'id', 'occurredAt']) fields.delete(name)
  if (fields.size === 0) return { line, error: 'has no attribute' }
  return {
    line,
    update: {
      visitor: { [visitorKind]: who },
      attributes: Object.fromEntries(fields),
      ...given({ id, occurredAt }),
    },
  }
}

function checkHeader(names: readonly string[], file: string): readonly string[] {
  const trimmed = names.map((name) => name.trim())
  // A spreadsheet writes as many cells as its widest row had.
  const clean = trimmed.slice(0, trimmed.findLastIndex((name) => name !== '') + 1)
  if (!visitorKinds.includes(clean[0] ?? ''))
    throw new Misuse(
      `${file}: the first column must be pcId or thirdPartyId, in a header whose names stand between commas, semicolons, tabs or |${almost(clean)}`,
    )
  const twice = clean.find((name, index) => clean.indexOf(name) !== index)
  if (twice !== undefined) throw new Misuse(`${file}: two columns are named ${twice}: give each a name of its own`)
  const nameless = clean.indexOf('')
  if (nameless !== -1) throw new Misuse(`${file}: column ${nameless + 1} has no name: give it one, or take it out`)
  return clean
}

const visitorKinds: readonly string[] = ['pcId', 'thirdPartyId']

/** What is nearly right in a header. The first line of a file without one holds values, and is not repeated. */
function almost(names: readonly string[]): string {
  const column = names.findIndex((name) => visitorKinds.some((kind) => kind.toLowerCase() === name.toLowerCase()))
  if (column === -1) return ''
  return visitorKinds.includes(names[column] ?? '')
    ? `: move column ${column + 1} to the front`
    : `: column ${column + 1} is meant so, and written otherwise`
}

function decodeName(cell: string, file: string): string {
  try {
    return decode(cell)
  } catch {
    throw new Misuse(`${file}: a column's name is not URL-encoded UTF-8: write a percent sign as %25`)
  }
}

/** Adobe: URL-encoded UTF-8. A plus is a plus: cells are not form-encoded. */
function decode(cell: string): string {
  return decodeURIComponent(cell)
}
