/**
 * Whether the ids that a file brings along name events. The relay takes what comes under an id once: a customer's
 * number there makes tomorrow's file nothing but duplicates, and nobody would hear of it.
 */
import type { RowUpdate } from './rows.ts'

/** Rows with ids of their own before the ids are judged. */
const judgedRows = 100
/** The share of them, 0..1, from which it is not a coincidence. */
const nearlyAll = 0.9

const advice =
  'Leave the id out (then ids are made of the file, the line and its content), or let it name what happened, anew each time'

export class OwnIds {
  #rows = 0
  #own = 0
  #visitors = 0
  #told = false

  /** @returns a warning, once, where the ids are those of the visitors */
  see({ id, visitor }: RowUpdate): string | undefined {
    this.#rows++
    if (id === undefined) return undefined
    this.#own++
    const named = typeof visitor === 'object' && visitor !== null ? Object.values(visitor).map(String) : []
    if (named.includes(String(id))) this.#visitors++
    return this.#own === judgedRows ? this.#judge() : undefined
  }

  /** @param counts acknowledged rows by status @returns warnings, where the file ends */
  end(counts: Readonly<Record<string, number>>): readonly string[] {
    const acknowledged = Object.values(counts).reduce((sum, count) => sum + count, 0)
    const { duplicate = 0 } = counts
    const nothingNew = duplicate > 0 && duplicate >= nearlyAll * acknowledged && this.#own >= nearlyAll * this.#rows
    return [
      this.#judge(),
      nothingNew
        ? `warning: ${duplicate} of ${acknowledged} rows are duplicates by their own ids, and nothing of them was sent. Unless this file was sent before, its ids do not name events. ${advice}`
        : undefined,
    ].filter((warning) => warning !== undefined)
  }

  #judge(): string | undefined {
    if (this.#told || this.#own === 0 || this.#visitors < nearlyAll * this.#own) return undefined
    this.#told = true
    return `warning: the ids of this file are those of its visitors: whatever comes under one of them later is taken for a duplicate and not sent. ${advice}`
  }
}
