/** How a Worker asks the object that holds its backlog: each method of the rows is one call. */
import type { BacklogRows } from '../core/backlog/rows.ts'

/** What the object has. */
export type RowsStub = Omit<BacklogRows, 'counts' | 'purge'>

/**
 * The rows of the object as the port.
 *
 * @param stub asked anew for each call: one that saw a failure may stay broken
 */
export function objectRows(stub: () => RowsStub): BacklogRows {
  return {
    exchange: (rows, removed) => stub().exchange(rows, removed),
    bury: (row, head, detail) => stub().bury(row, head, detail),
    writeText: (key, value) => stub().writeText(key, value),
    read: (keys) => stub().read(keys),
    page: (prefix, after, limit, bytes) => stub().page(prefix, after, limit, bytes),
    letters: (before, limit, details) => stub().letters(before, limit, details),
    setHeads: (heads) => stub().setHeads(heads),
    heads: (prefix, after, limit) => stub().heads(prefix, after, limit),
    keys: (after, before, limit) => stub().keys(after, before, limit),
    readSealed: (key) => stub().readSealed(key),
    renew: (key, was, renewed) => stub().renew(key, was, renewed),
    check: () => stub().check(),
  }
}
