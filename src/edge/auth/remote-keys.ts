/**
 * Public keys that a sender publishes at an address of its own.
 *
 * Guarantee: only https (http on loopback) is asked, without redirects, within `timeoutMs`, and for at most
 * `maxKeysBytes`. Which addresses may be asked is for the caller to say: never one that only a request names.
 */

const timeoutMs = 3_000
const maxKeysBytes = 262_144

/** @throws TypeError where keys may not be fetched from there */
export function keysAddress(url: string): URL {
  const address = new URL(url)
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(address.hostname)
  if (address.protocol !== 'https:' && !(address.protocol === 'http:' && loopback))
    throw new TypeError(`keys are fetched by https:// (http:// for loopback only), not from ${address.protocol}`)
  return address
}

/** What lies at the address; undefined where it can't be fetched. */
export async function fetchKeyText(fetch: typeof globalThis.fetch, url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
    if (response.status !== 200) {
      await response.body?.cancel()
      return undefined
    }
    const decoder = new TextDecoder()
    let [text, size] = ['', 0]
    // To the bound, and no further: what lies there may be of any size.
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength
      if (size > maxKeysBytes) return undefined
      text += decoder.decode(chunk, { stream: true })
    }
    return text
  } catch {
    // The caller says that it can't judge right now, which is logged.
    return undefined
  }
}
