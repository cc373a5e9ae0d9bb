/** Lists that come in pages. */

/**
 * The pages of a list, each asked for with the cursor of the one before, up to one without a cursor. A page is asked
 * for only once the one before was worked on.
 *
 * @param ask one page; a rejection of it ends the list
 * @param from the cursor to begin with; undefined for the beginning
 */
export async function* pagesOf<P extends { readonly cursor?: string }>(
  ask: (cursor: string | undefined) => Promise<P>,
  from?: string,
): AsyncGenerator<P> {
  let cursor = from
  do {
    const page = await ask(cursor)
    yield page
    cursor = page.cursor
  } while (cursor !== undefined)
}
