/** A proxy between the relay and Upstash that fails requests and answers as a network, a proxy or a database would. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/core/clock.ts'
import type { UpstashStandIn } from '../support/upstash-stand-in.ts'

export const redisFaults = [
  'asked late',
  'answers late',
  'reply lost',
  'second command refused',
  'answers cut',
  'another database',
] as const
export type RedisFault = (typeof redisFaults)[number]

export interface RedisProxy extends AsyncDisposable {
  readonly url: string
  /** The share of the requests that fail. */
  fault: { readonly kind: RedisFault; readonly share: number } | undefined
  /** Failed requests by kind of fault. */
  readonly struck: Readonly<Partial<Record<RedisFault, number>>>
}

export interface RedisProxyOptions {
  readonly main: Pick<UpstashStandIn, 'url'>
  /** Another database, which may answer instead. */
  readonly other: Pick<UpstashStandIn, 'url'>
  readonly random: Pick<Random, 'fraction'>
  /** The longest delay. */
  readonly lateMs: number
}

export async function startRedisProxy({ main, other, random, lateMs }: RedisProxyOptions): Promise<RedisProxy> {
  const struck: Partial<Record<RedisFault, number>> = {}
  const server = createServer((request, response) => {
    pass(request.url ?? '/', request.headers, text(request)).then(
      (answer) => {
        if (answer === undefined) response.destroy()
        else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
      },
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const proxy: RedisProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: undefined,
    struck,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return proxy

  /** Undefined if no answer is sent back. */
  async function pass(path: string, headers: NodeJS.Dict<string | string[]>, asked: Promise<string>) {
    const body = await asked
    const kind = proxy.fault !== undefined && random.fraction() < proxy.fault.share ? proxy.fault.kind : undefined
    const commands = JSON.parse(body) as unknown[]
    const several = path === '/pipeline' && commands.length > 1
    if (kind === 'second command refused' && !several) return ask(main.url, path, headers, body)
    if (kind !== undefined) struck[kind] = (struck[kind] ?? 0) + 1
    if (kind === 'asked late') await sleep(random.fraction() * lateMs)
    const first = kind === 'second command refused' ? JSON.stringify(commands.slice(0, 1)) : body
    const { status, body: answer } = await ask(kind === 'another database' ? other.url : main.url, path, headers, first)
    if (kind === 'answers late') await sleep(random.fraction() * lateMs)
    if (kind === 'reply lost') return undefined
    if (kind === 'answers cut') return { status, body: JSON.stringify(cut(JSON.parse(answer), random)) }
    if (kind !== 'second command refused') return { status, body: answer }
    const refused = commands.slice(1).map(() => ({ error: 'ERR refused on the way' }))
    return { status, body: JSON.stringify([...(JSON.parse(answer) as unknown[]), ...refused]) }
  }
}

async function ask(origin: string, path: string, headers: NodeJS.Dict<string | string[]>, body: string) {
  const passed = ['authorization', 'upstash-encoding', 'content-type'].flatMap((name) => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, value] as [string, string]] : []
  })
  const response = await fetch(`${origin}${path}`, { method: 'POST', headers: passed, body })
  return { status: response.status, body: await response.text() }
}

/** The last answers of a pipeline are missing, or the ends of the arrays in them. */
function cut(answer: unknown, random: Pick<Random, 'fraction'>): unknown {
  const shorter = (items: readonly unknown[]) => items.slice(0, Math.floor(random.fraction() * items.length))
  if (Array.isArray(answer)) return random.fraction() < 0.5 ? shorter(answer) : answer.map((one) => cut(one, random))
  const result = typeof answer === 'object' && answer !== null && 'result' in answer ? answer.result : undefined
  return Array.isArray(result) ? { result: shorter(result) } : answer
}
