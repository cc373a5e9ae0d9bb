/** The format of what a ledger keeps, in SQL and in Redis. An older one is taken over on opening, a newer one refused. */

/**
 * 1: a bucket of quota by its number (in SQL `relay_units` and `relay_account`), unmarked.
 * 2: by the last millisecond at which a unit of it may have been granted.
 */
export const storeFormat = 2

export class NewerFormat extends Error {
  override readonly name = 'NewerFormat'
  constructor(format: number) {
    super(
      `the ledger's store has format ${format} and this version reads up to ${storeFormat}: run the version that wrote it, or a later one`,
    )
  }
}
