/** Lets every promise chain run to where it waits for virtual time. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
