/**
 * Where the registers of a visitor with very many attributes lie. Its first ones are in its head (on SQL its row, on
 * Redis its hash), so that an ordinary visitor is one row. Once the head is full, a new name's register goes to one of
 * a fixed number of pages, which its name tells: so every row stays of bounded size, and a step touches only the
 * pages of its own attributes. A name lives in the head if it is there, else in its page.
 */

/**
 * Pages of one visitor; stored rows rest on it, so it never changes. A prime, so that names which differ in few
 * characters spread evenly: a million of them make pages of about 250.
 */
export const registerPages = 4_093

const encoder = new TextEncoder()

/** A name's page, 0 to `registerPages` - 1. `pageKey` of `redis/scripts/rows.ts` says the same in Lua. */
export function pageOf(name: string): number {
  let page = 0
  for (const byte of encoder.encode(name)) page = (page * 31 + byte) % registerPages
  return page
}
