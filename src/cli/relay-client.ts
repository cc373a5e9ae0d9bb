/** A relay over HTTP, as a command asks it. */
import { type Io, Misuse } from './command.ts'

/** A relay that could not be asked, or that did not do what it was asked for. */
export class Failed extends Error {
  override readonly name = 'Failed'
}

export interface RelayClient {
  /** Without a trailing slash. */
  readonly url: string
  get(path: string): Promise<unknown>
  post(path: string, body?: unknown): Promise<unknown>
}

const timeoutMs = 120_000

/** Where a relay is: `--relay`, or `RELAY_URL`. @throws Misuse where a token would travel in clear */
export function relayUrl(env: Io['env'], named: string | undefined): string {
  const text = named ?? env['RELAY_URL'] ?? 'http://127.0.0.1:8787'
  if (!URL.canParse(text)) throw new Misuse(`${text} is no URL`)
  const { protocol, hostname, origin, pathname } = new URL(text)
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
  if (protocol !== 'https:' && !(protocol === 'http:' && loopback))
    throw new Misuse('the relay must be https:// (http:// for loopback only)')
  return origin + pathname.replace(/\/$/, '')
}

/** @throws Misuse where there is no `ADMIN_TOKEN` */
export function adminClient({ env }: Pick<Io, 'env'>, named: string | undefined): RelayClient {
  const url = relayUrl(env, named)
  const token = env['ADMIN_TOKEN']
  if (token === undefined || token === '') throw new Misuse('set ADMIN_TOKEN')
  const ask = async (path: string, init: RequestInit): Promise<unknown> => {
    const { status, body } = await answered(`${url}${path}`, init)
    if (status === 401) throw new Misuse('the relay does not take this ADMIN_TOKEN')
    // /readyz says that it is not ready with a 503, and in what.
    if (status >= 400 && path !== '/readyz') throw new Failed(`${path}: ${status} ${problemOf(body)}`)
    return body
  }
  const authorization = `Bearer ${token}`
  return {
    url,
    get: (path) => ask(path, { headers: { authorization } }),
    post: (path, body) =>
      ask(path, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  }
}

/** One request, its answer read as JSON where it is. @throws Failed where nobody answers */
export async function answered(url: string, init: RequestInit): Promise<{ status: number; body: unknown; retryAfter: string | null }> {
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
    const text = await response.text()
    return { status: response.status, body: parse(text), retryAfter: response.headers.get('retry-after') }
  } catch (error) {
    throw new Failed(`${new URL(url).origin} does not answer (${error instanceof Error ? error.message : 'no reason given'})`)
  }
}

/** What a problem says of itself. */
export function problemOf(body: unknown): string {
  const { title, detail } = (typeof body === 'object' && body !== null ? body : {}) as { title?: unknown; detail?: unknown }
  return [title, detail].filter((text) => typeof text === 'string').join(': ')
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
