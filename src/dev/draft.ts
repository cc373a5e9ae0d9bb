/** A request that is being made. */
export interface Draft {
  method: string
  url: string
  readonly headers: Headers
  body: Uint8Array<ArrayBuffer>
}

/** @returns why the value can't stand in a header; undefined once it does */
export function setHeader({ headers }: Draft, name: string, value: string): string | undefined {
  try {
    headers.set(name, value)
    return undefined
  } catch {
    // The error repeats the value.
    return `the secret does not fit into the header ${name}`
  }
}
