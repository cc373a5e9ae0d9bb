/** A command's client of a relay, over HTTP. */
import * as z from 'zod'
import { namedToken } from '../edge/auth/operators.ts'
import { list } from '../relay/settings-fields.ts'
import type { Io } from './command.ts'
import { Failed, Misuse, reasonOf } from './errors.ts'

export interface RelayClient {
  /** Without a trailing slash. */
  readonly url: string
  /** @throws Failed if nobody answers, or the answer does not have this shape */
  get<T>(path: string, shape: z.ZodType<T>): Promise<T>
  post(path: string, body?: unknown): Promise<unknown>
  post<T>(path: string, body: unknown, shape: z.ZodType<T>): Promise<T>
  /** As `get` and `post`, with the answer as it came, too. */
  ask<T>(path: string, shape: z.ZodType<T>): Promise<Said<T>>
  tell<T>(path: string, body: unknown, shape: z.ZodType<T>): Promise<Said<T>>
  /** The answer's text, for what is no JSON. @throws Failed as above */
  text(path: string): Promise<string>
  /** The answer's lines as they come in, for what may be long. @throws Failed as above, also where it breaks off */
  lines(path: string): AsyncGenerator<string>
  /** As `tell`, with lines in place of JSON. */
  tellLines<T>(path: string, lines: readonly string[], shape: z.ZodType<T>): Promise<Said<T>>
}

export interface Said<T> {
  readonly said: T
  /** With fields that this version does not know. */
  readonly whole: unknown
}

export interface Answered {
  readonly status: number
  /** Undefined if it is not JSON. */
  readonly body: unknown
  readonly text: string
  readonly retryAfter: string | null
  readonly date: string | null
}

const timeoutMs = 120_000

/** Where a relay is: `--relay`, or `RELAY_URL`. @throws Misuse if a token would be sent unencrypted */
export function relayUrl(env: Io['env'], named: string | undefined): string {
  const text = named ?? env['RELAY_URL'] ?? 'http://127.0.0.1:8787'
  if (!URL.canParse(text)) throw new Misuse(`${text} is no URL`)
  const { protocol, hostname, origin, pathname } = new URL(text)
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
  if (protocol !== 'https:' && !(protocol === 'http:' && loopback))
    throw new Misuse('the relay must be https:// (http:// for loopback only)')
  return origin + pathname.replace(/\/$/, '')
}

/** A token from the environment. @throws Misuse if it is missing or no header can carry it */
export function tokenOf(env: Io['env'], name: string): string {
  // As the relay reads its own: a secret that was mounted from a file may end in a line break.
  const token = env[name]?.trim()
  if (token === undefined || token === '') throw new Misuse(`set ${name}`)
  // The error of fetch would repeat the token.
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new Misuse(`${name} holds a space, a line break or another character that no token has`)
  return token
}

/** The first token of `ADMIN_TOKEN`, else of `VIEW_TOKEN`: either may be the list that a relay was given. */
function operatorToken(env: Io['env']): string {
  const text = tokenOf(env, (env['ADMIN_TOKEN'] ?? '') === '' && env['VIEW_TOKEN'] ? 'VIEW_TOKEN' : 'ADMIN_TOKEN')
  return namedToken(list.safeParse(text).data?.[0] ?? text).token
}

/** @throws Misuse if `ADMIN_TOKEN` and `VIEW_TOKEN` are missing */
export function adminClient({ env }: Pick<Io, 'env'>, named: string | undefined): RelayClient {
  const url = relayUrl(env, named)
  const authorization = `Bearer ${operatorToken(env)}`
  const answerTo = async (path: string, init: RequestInit): Promise<Answered> => {
    const asked = await answered(`${url}${path}`, init)
    if (asked.status === 401) throw new Misuse('the relay does not take this ADMIN_TOKEN')
    if (asked.status === 403) throw new Misuse(`the relay refuses this token: ${problemOf(asked.body)}`)
    return asked
  }
  const ask = async <T>(path: string, init: RequestInit, shape: z.ZodType<T>) => {
    const { status, body } = await answerTo(path, init)
    // /readyz answers 503 if the relay is not ready, with the reasons.
    const parsed = shape.safeParse(body)
    if (status >= 400 && !(path === '/readyz' && parsed.success))
      throw new Failed(`${path}: ${status} ${problemOf(body)}`.trim())
    if (status >= 300 || !parsed.success) throw new Failed(`${url}${path}: ${noRelay}`)
    return { said: parsed.data, whole: body }
  }
  const reading = { headers: { authorization } }
  const writing = (body: unknown): RequestInit => ({
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return {
    url,
    get: async (path, shape) => (await ask(path, reading, shape)).said,
    post: async <T>(path: string, body?: unknown, shape?: z.ZodType<T>) =>
      (await ask(path, writing(body), (shape ?? z.unknown()) as z.ZodType<T>)).said,
    ask: (path, shape) => ask(path, reading, shape),
    tell: (path, body, shape) => ask(path, writing(body), shape),
    text: async (path) => {
      const { status, body, text } = await answerTo(path, reading)
      if (status >= 400) throw new Failed(`${path}: ${status} ${problemOf(body)}`.trim())
      if (status >= 300) throw new Failed(`${url}${path}: ${noRelay}`)
      return text
    },
    lines: (path) => linesFrom(`${url}${path}`, reading),
    tellLines: (path, lines, shape) =>
      ask(
        path,
        {
          method: 'POST',
          headers: { authorization, 'content-type': 'application/x-ndjson' },
          body: `${lines.join('\n')}\n`,
        },
        shape,
      ),
  }
}

const noRelay = 'what answers there is no relay, or one of another version'

async function* linesFrom(url: string, init: RequestInit): AsyncGenerator<string> {
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
    if (!response.ok || response.body === null)
      throw new Failed(`${new URL(url).pathname}: ${response.status} ${problemOf(parse(await response.text()))}`.trim())
    let rest = ''
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
    if (rest !== '') yield rest
  } catch (error) {
    throw error instanceof Failed ? error : new Failed(`${new URL(url).origin} broke off (${reasonOf(error)})`)
  }
}

/** One request, its answer read as JSON where it is. @throws Failed if nobody answers */
export async function answered(url: string, init: RequestInit): Promise<Answered> {
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
    const text = await response.text()
    return {
      status: response.status,
      body: parse(text),
      text,
      retryAfter: response.headers.get('retry-after'),
      date: response.headers.get('date'),
    }
  } catch (error) {
    throw new Failed(`${new URL(url).origin} does not answer (${reasonOf(error)})`)
  }
}

/** Enough for the longest one, about a store of another account. */
const problemChars = 300

/** The title and detail of a problem, in one line. */
export function problemOf(body: unknown): string {
  const { title, detail } = (typeof body === 'object' && body !== null ? body : {}) as {
    title?: unknown
    detail?: unknown
  }
  const text = [title, detail].filter((part) => typeof part === 'string').join(': ')
  return text.replace(/\p{Cc}+/gu, ' ').slice(0, problemChars)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
