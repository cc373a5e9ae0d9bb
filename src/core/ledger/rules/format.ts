/**
 * The format of what a ledger keeps, in SQL and in Redis. An older one is taken over on opening, a newer one refused.
 */

/**
 * 1: a bucket of quota by its number (in SQL `relay_units` and `relay_account`), unmarked.
 * 2: by the last millisecond at which a unit of it may have been granted.
 */
export const storeFormat = 2
