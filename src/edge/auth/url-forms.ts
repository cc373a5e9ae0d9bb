/**
 * The forms of one address that a sender may have signed: with and without the default port, with a slash at its end or
 * none, escaped more or less, its host in upper case or not, and as https where a proxy in front made http of it.
 *
 * All name the same resource, so none authenticates more than another.
 */

const parts = /^(https?):\/\/((?:[^/?#@]*@)?)(\[[^\]]*\]|[^/?#:]*)(:\d+)?([^?#]*)(\?[^#]*)?/i

/**
 * @param hostHeader of the request, in the case that the sender wrote it
 * @param known the address as the sender knows it, if the deployer gives it: only its scheme is tried, with the
 * request's query
 */
export function urlForms(requested: string, hostHeader: string | null, known?: string): readonly string[] {
  const url = known === undefined ? requested : known + new URL(requested).search
  const [, scheme = '', userInfo = '', host = '', port = '', path = '', query = ''] = parts.exec(url) ?? []
  if (host === '') return [url]
  const schemes = known === undefined && scheme.toLowerCase() === 'http' ? ['http', 'https'] : [scheme.toLowerCase()]
  const written = hostHeader?.replace(/:\d*$/, '') ?? host
  const hosts = written.toLowerCase() === host.toLowerCase() ? [host, written] : [host]
  const origins = schemes.flatMap((one) =>
    [port, '', one === 'https' ? ':443' : ':80'].flatMap((onePort) =>
      hosts.map((oneHost) => `${one}://${userInfo}${oneHost}${onePort}`),
    ),
  )
  const slashed = path.endsWith('/') ? path : `${path}/`
  const rests = [path, slashed.slice(0, -1), slashed].flatMap((one) => escapings(one, query))
  return [...new Set([url, ...origins.flatMap((one) => rests.map((rest) => one + rest))])]
}

/** HubSpot signs these as they are, and escapes all others. */
const plainAtHubspot = /%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi

/**
 * As received; unescaped as HubSpot does it; unescaped as a URL parser does it; fully unescaped; and with a fully
 * escaped query.
 */
function escapings(path: string, query: string): readonly string[] {
  const came = path + query
  const ways = [
    (text: string) => text.replace(plainAtHubspot, decodeURIComponent),
    decodeURI,
    (text: string) => decodeURI(text).replace(plainAtHubspot, decodeURIComponent),
    decodeURIComponent,
    () => path + escapedThroughout(query),
  ]
  return [came, ...ways.map((way) => tried(way, came))]
}

/** As Twilio's own library tries it. */
function escapedThroughout(query: string): string {
  return query.replace(/[^?&=]+/g, (text) => encodeURIComponent(decodeURIComponent(text.replaceAll('+', ' '))))
}

/** A text that is not escaped UTF-8 was signed as received, or not at all. */
function tried(way: (text: string) => string, text: string): string {
  try {
    return way(text)
  } catch {
    return text
  }
}
