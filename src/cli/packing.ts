/** Rows packed into batches, as many as the relay takes at once; and the rows that are refused on the way. */
import { type Batches, maxBatchBytes, maxUpdates, type ReadyRow } from './batches.ts'
import type { RefusedFile } from './refused-file.ts'

const shownRefused = 20
const utf8 = new TextEncoder()

/**
 * The rows that were refused: how many, the first of them to show, and all of them in a file where one is asked for.
 */
export class RefusedRows {
  count = 0
  /** One line each, by its place in the file. */
  readonly shown: string[] = []
  readonly #file: RefusedFile | undefined

  constructor(file: RefusedFile | undefined) {
    this.#file = file
  }

  /** @throws Failed where the file can't be written */
  add(line: number, message: string): void {
    this.count++
    if (this.shown.length < shownRefused) this.shown.push(`line ${line}: ${message}`)
    this.#file?.write(line, message)
  }
}

/** Packs rows in their order. Rows of one visitor go one after the other, or the later line could be overtaken. */
export class Packing {
  readonly #batches: Pick<Batches, 'start' | 'without'>
  readonly #refused: RefusedRows
  #batch: ReadyRow[] = []
  #bytes = 0

  constructor(batches: Pick<Batches, 'start' | 'without'>, refused: RefusedRows) {
    this.#batches = batches
    this.#refused = refused
  }

  /** The first line that was packed and not sent. */
  get firstLine(): number | undefined {
    return this.#batch[0]?.line
  }

  /** Resolves once the row is packed, which may send the rows before it. */
  async add(row: ReadyRow): Promise<void> {
    const size = utf8.encode(JSON.stringify(row.update)).byteLength
    if (size > maxBatchBytes) return this.#refused.add(row.line, 'is larger than the relay takes')
    if (
      this.#batch.length >= maxUpdates ||
      this.#bytes + size > maxBatchBytes ||
      this.#batch.some(({ visitor }) => visitor === row.visitor)
    )
      await this.flush()
    await this.#batches.without(row.visitor)
    this.#batch.push(row)
    this.#bytes += size
  }

  /** Resolves once what was packed is on its way. */
  async flush(): Promise<void> {
    if (this.#batch.length > 0) await this.#batches.start(this.#batch)
    this.#batch = []
    this.#bytes = 0
  }
}
