/**
 * The senders' sources for a relay in a process of its own. What that process fetches, other than Target's calls and the
 * vendors' keys, goes to the listener that `TEST_FUZZ_LISTENER` names, whatever its address.
 */
import '../support/own-name.ts'

const fetchBefore = globalThis.fetch
const [listener, target] = [process.env['TEST_FUZZ_LISTENER'] ?? '', process.env['TARGET_ORIGIN'] ?? '']

globalThis.fetch = (input, init) => {
  const address = input instanceof Request ? input.url : String(input)
  return address.startsWith(`${target}/`)
    ? fetchBefore(input, init)
    : fetchBefore(`${listener}/?asked=${encodeURIComponent(address)}`)
}

// Linked once the name is known and what is fetched is seen; the vendors' keys come before it.
export const { sources } = await import('../senders/sources.ts')
