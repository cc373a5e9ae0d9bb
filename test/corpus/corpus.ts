/**
 * Requests as senders really send them: complete ones from the vendors' documentation and libraries, one in each file, with the
 * expected outcome beside it. Personal details are made up. `edge/auth/senders.ts` signs a request when it is read.
 *
 * Placeholders: `{{signed}}` in a header is the value that the sender gives it (signature, time), in a body Mailgun's signature;
 * `{{query}}` the query that it signs; `{{now.s}}`, `{{now.ms}}`, `{{now.iso}}`, `{{now.micro}}` and `{{now.offset}}` the
 * present time in several formats; `{{host}}`, `{{length}}`. The lines of the head end in CRLF on the wire.
 */
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import { secretName } from '../../src/edge/source/check.ts'
import { senders } from '../edge/auth/senders.ts'

export interface Expected {
  /** What this case shows. */
  readonly what: string
  /** The vendor's documentation of it. */
  readonly docs: string
  /** Its name in `senders`, if that is not the folder's. */
  readonly sender?: string
  readonly status: number
  /** Fields of the answer; null: the answer has no body. */
  readonly answer: object | null
  /** The attributes that Target has afterwards, by `thirdPartyId`: of exactly these visitors. */
  readonly profiles: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Text in the reason of its dead letter; absent if there is no dead letter. */
  readonly quarantined?: string
}

export interface Case {
  readonly name: string
  readonly folder: string
  /** The source named in its path. */
  readonly source: string
  readonly text: string
  readonly expected: Expected
}

export interface RawRequest {
  readonly method: string
  readonly path: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
}

const here = fileURLToPath(new URL('.', import.meta.url))
const mailgunKeys = ['mailgun-key-of-the-corpus', 'mailgun-key-of-the-corpus-before'] as const

export const folders = readdirSync(here, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
)

export const cases: readonly Case[] = folders.flatMap((folder) =>
  readdirSync(here + folder)
    .filter((file) => file.endsWith('.http'))
    .map((file): Case => {
      const text = readFileSync(`${here}${folder}/${file}`, 'utf8')
      const name = file.replace(/\.http$/, '')
      const expected = JSON.parse(readFileSync(`${here}${folder}/${name}.json`, 'utf8')) as Expected
      return {
        name: `${folder}/${name}`,
        folder,
        source: /^\w+ \/hooks\/([a-z0-9-]+)/.exec(text)?.[1] ?? '',
        text,
        expected,
      }
    }),
)

/** The secrets of each source: those of every sender that uses it. */
export const secretsBySource: ReadonlyMap<string, readonly string[]> = new Map(
  cases.map(({ source }) => {
    const own = cases.filter((other) => other.source === source)
    return [source, [...new Set(own.map((one) => secretOf(one)))]] as const
  }),
)

/** The same secrets as settings of a relay. */
export const corpusSecrets: Readonly<Record<string, string>> = Object.fromEntries(
  [...secretsBySource].map(([source, secrets]) => [secretName(source), secrets.join(',')]),
)

/** A request as its sender would make it now. */
export async function requestOf(one: Case, nowMs: number, host: string): Promise<RawRequest> {
  const [head = '', ...rest] = one.text.split('\n\n')
  const [line = '', ...lines] = head.split('\n')
  const headers = lines.map((header) => {
    const colon = header.indexOf(':')
    return [header.slice(0, colon), header.slice(colon + 1).trim()] as const
  })
  const timed = (text: string) => withTime(text, nowMs)
  const body = signedBody(one, timed(rest.join('\n\n')))
  const signed = await sign(one, body, nowMs, headers)
  const [method = '', path = ''] = line.split(' ')
  return {
    method,
    path: path.replace('{{query}}', new URL(signed.url).search),
    headers: headers.map(([name, value]) => [
      name,
      timed(value)
        .replace('{{signed}}', signed.headers[name] ?? '')
        .replace('{{host}}', host)
        .replace('{{length}}', String(Buffer.byteLength(body))),
    ]),
    body: Buffer.from(body),
  }
}

/** The request as bytes, for a connection that closes after the answer. */
export function bytesOf({ method, path, headers, body }: RawRequest): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    'connection: close',
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body])
}

/** Fills in the placeholders of the present time. */
export function withTime(text: string, nowMs: number): string {
  const iso = new Date(nowMs).toISOString()
  return text
    .replaceAll('{{now.s}}', String(Math.floor(nowMs / 1_000)))
    .replaceAll('{{now.ms}}', String(nowMs))
    .replaceAll('{{now.iso}}', iso)
    .replaceAll('{{now.micro}}', iso.replace('Z', '022Z'))
    .replaceAll('{{now.offset}}', new Date(nowMs - 5 * 3_600_000).toISOString().replace(/\.\d+Z$/, '-05:00'))
}

function secretOf({ folder, expected }: Case): string {
  return folder === 'mailgun' ? mailgunKeys[0] : (senders[expected.sender ?? folder]?.secrets[0] ?? '')
}

/** Mailgun's signature is in the body, and signs a time and a token. */
function signedBody({ folder }: Case, body: string): string {
  if (folder !== 'mailgun') return body
  const { timestamp, token } = (JSON.parse(body) as { signature: { timestamp: string; token: string } }).signature
  return body.replace(
    '{{signed}}',
    createHmac('sha256', mailgunKeys[0])
      .update(timestamp + token)
      .digest('hex'),
  )
}

async function sign(one: Case, body: string, nowMs: number, headers: RawRequest['headers']) {
  const sender = senders[one.expected.sender ?? one.folder]
  if (sender === undefined) return { url: 'https://relay.example/', headers: {} as Readonly<Record<string, string>> }
  const idHeader = sender.preset.descriptors[0]?.id
  return sender.sign(body, nowMs, secretOf(one), headers.find(([name]) => name === idHeader)?.[1])
}
