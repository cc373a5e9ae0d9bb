/** A request as a command line of curl that a POSIX shell takes, whatever it holds. */
import type { SignedRequest } from './sign.ts'

/**
 * @param file holds the body, byte for byte; without one the body stands in the command
 * @returns undefined where the body is no text and there is no file
 */
export function curlOf(request: SignedRequest, file?: string): string | undefined {
  const { method, url, headers } = request
  const data = file === undefined ? inline(request.body) : `--data-binary ${quoted(`@${file}`)}`
  if (data === undefined) return undefined
  return [
    // A bracket in the URL is no pattern.
    `curl -g${method === 'POST' ? '' : ` -X ${method}`} ${quoted(url)}`,
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    data,
  ].join(' \\\n  ')
}

/** `--data-raw` takes its text as it is, also where it begins with `@`. */
function inline(body: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
    return text.includes('\0') ? undefined : `--data-raw ${quoted(text)}`
  } catch {
    return undefined
  }
}

/** One word for a shell: nothing is special between single quotes but their end. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
