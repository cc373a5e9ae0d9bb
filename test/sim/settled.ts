/** Lets every promise chain run until it waits for virtual time. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
