/** Optional properties: with `exactOptionalPropertyTypes` a property is either absent or has a value. */

/** `T` with every property that may be undefined made optional, and never undefined where it is there. */
export type Given<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K]
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/**
 * Leaves out the properties that are undefined: `given({ event: update.event })` is `{}` for an update without an
 * event.
 *
 * @returns a new object with the properties in the same order; `null`, `false`, `0` and `''` are values and stay
 */
export function given<const T extends object>(properties: T): Given<T> {
  const result = {} as Given<T> & Partial<T>
  for (const name in properties) {
    const value = properties[name]
    if (value !== undefined) result[name] = value
  }
  return result
}
