/**
 * The vendors' key hosts, in place of the network: what the schemes fetch comes from keys made for this run, everything else
 * goes where it went before.
 */

/** Made by `keys.ts`; a relay in another process has it as JSON in `TEST_SENDER_KEYS`. */
export interface VendorKeys {
  /** PEM. */
  readonly certificate: string
  readonly publicKey: string
  readonly googleJwk: JsonWebKey
  readonly plaidJwk: JsonWebKey
}

/** The only hosts that a scheme may ask. */
export const keyHosts = [
  'sns.eu-central-1.amazonaws.com',
  'static.adobeioevents.com',
  'api.paypal.com',
  'www.googleapis.com',
  'production.plaid.com',
]

type Fetch = typeof globalThis.fetch

export function vendorFetch(keys: VendorKeys, other: Fetch): Fetch {
  const answers: Readonly<Record<string, () => Response>> = {
    'sns.eu-central-1.amazonaws.com': () => new Response(keys.certificate),
    'static.adobeioevents.com': () => new Response(keys.publicKey),
    'api.paypal.com': () => new Response(keys.certificate),
    'www.googleapis.com': () => Response.json({ keys: [keys.googleJwk] }),
    'production.plaid.com': () => Response.json({ key: keys.plaidJwk }),
  }
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : String(input))
    return answers[url.hostname]?.() ?? other(input, init)
  }
}
