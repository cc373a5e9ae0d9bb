/**
 * Requests as the senders of `docs/senders.md` make them, one in each file of `requests/`, and beside each what must come of it.
 * Ids and secrets are made up; signatures and tokens are made when a request is read.
 *
 * Placeholders: `{{signed}}` is what its sender puts there; `{{secret}}`, `{{basic}}` the source's secret, as it is or for
 * HTTP basic; `{{another}}` the token of another account; `{{sha256}}` the body's hash; `{{now.plus}}` the time with
 * `+0000`, `{{now.plain}}` without an offset; `{{host}}`, `{{length}}` and the other times as in `test/corpus`.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import { secretName } from '../../src/edge/source/check.ts'
import { type RawRequest, withTime } from '../corpus/corpus.ts'
import { bodyHash, secrets, signers } from './signers.ts'

export interface Expected {
  /** What this request shows. */
  readonly what: string
  readonly status: number
  /** Fields of a JSON answer, or the whole of a text. */
  readonly answer: object | string
  /** Headers of the answer, by lower-case name; null: there is none of this name. */
  readonly headers?: Readonly<Record<string, string | null>>
  /** The attributes that Target has afterwards, by `thirdPartyId`: of exactly these visitors. */
  readonly profiles?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Its dead letters: each the reason, and a part of the detail. */
  readonly dead?: readonly (readonly [reason: string, detail: string])[]
  /** The signature is that of another body. */
  readonly forged?: true
}

export interface SenderRequest {
  readonly name: string
  readonly source: string
  readonly text: string
  readonly expected: Expected
}

const folder = fileURLToPath(new URL('requests/', import.meta.url))

export const requests: readonly SenderRequest[] = readdirSync(folder)
  .filter((file) => file.endsWith('.http'))
  .map((file): SenderRequest => {
    const text = readFileSync(folder + file, 'utf8')
    const name = file.replace(/\.http$/, '')
    const expected = JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8')) as Expected
    return { name, source: /^\w+ \/hooks\/([a-z0-9-]+)/.exec(text)?.[1] ?? '', text, expected }
  })

export const hookSecrets: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(secrets).map(([source, secret]) => [source, [secret]]),
)

/** The same secrets as settings of a relay. */
export const secretSettings: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(secrets).map(([source, secret]) => [secretName(source), secret]),
)

/** A request as its sender would make it now. */
export async function requestOf(
  { source, text, expected }: SenderRequest,
  nowMs: number,
  host: string,
): Promise<RawRequest> {
  const [head = '', ...rest] = text.split('\n\n')
  const [line = '', ...lines] = head.split('\n')
  const [method = '', target = ''] = line.split(' ')
  const secret = secrets[source] ?? ''
  const iso = new Date(nowMs).toISOString()
  const filled = (written: string) =>
    withTime(written, nowMs)
      .replaceAll('{{now.plus}}', iso.replace('Z', '+0000'))
      .replaceAll('{{now.plain}}', iso.slice(0, 19).replace('T', '+'))
      .replaceAll('{{secret}}', secret)
      .replace('{{basic}}', Buffer.from(secret).toString('base64'))
      .replace('{{host}}', host)
  const unsigned = filled(rest.join('\n\n'))
  const path = filled(target).replace('{{sha256}}', bodyHash(unsigned))
  const signedBody = expected.forged === true ? unsigned.replace('customer', 'customer-') : unsigned
  const signed = (await signers[source]?.({ body: signedBody, nowMs, path }, secret)) ?? {}
  const body = unsigned.replace('{{signed}}', signed['body'] ?? '')
  return {
    method,
    path,
    headers: lines.map((header) => {
      const colon = header.indexOf(':')
      const name = header.slice(0, colon)
      const value = filled(header.slice(colon + 1).trim())
        .replace('{{signed}}', signed[name] ?? '')
        .replace('{{another}}', signed['x-token-of-another'] ?? '')
        .replace('{{length}}', String(Buffer.byteLength(body)))
      return [name, value]
    }),
    body: Buffer.from(body),
  }
}
