/**
 * Upstash's REST API over a stock Redis, as the real `@upstash/redis` client uses it: authorization, single commands,
 * pipelines, base64, and the one script flag that only Upstash knows. It counts requests and commands, and can hang,
 * refuse, run only a part, end a script in its midst, or lose its replies.
 */
import { createHash } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type RedisOptions, startRedis } from './redis.ts'
import { connectRedis, type Reply, ReplyError } from './resp.ts'

export interface UpstashStandIn extends AsyncDisposable {
  readonly url: string
  readonly token: string
  /** HTTP requests and Redis commands since the last `resetCounts`. */
  readonly counts: { requests: number; commands: number; names: string[] }
  resetCounts(): void
  /**
   * What happens to the next requests: hang without running, refuse with a status, run and lose the reply or all of it except
   * the first command's, run the first command only, or end scripts that come with their text (and contain `within`) at
   * their call of Redis number `calls`.
   */
  fault:
    | undefined
    | { readonly kind: 'hang' | 'lose_reply' | 'cut_reply' | 'first_only' }
    | { readonly kind: 'refuse'; readonly status: number }
    | { readonly kind: 'end_script'; readonly calls: number; readonly within: string }
  /** Runs a command directly. */
  command(...parts: string[]): Promise<Reply>
  /** Kills Redis as a crash would. */
  killRedis(): Promise<void>
  /** Restarts Redis after a kill, on the same port, with what is left on disk. */
  startRedisAgain(): Promise<void>
}

export async function startUpstashStandIn(options: RedisOptions = {}): Promise<UpstashStandIn> {
  let redis = await startRedis(options)
  let connection = await connectRedis(redis.host, redis.port)
  const token = 'upstash-token-for-tests-only'
  const counts = { requests: 0, commands: 0, names: [] as string[] }
  const plainScript = withoutUpstashFlag()

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      counts.requests++
      const { fault } = standIn
      if (request.headers.authorization !== `Bearer ${token}`)
        return answer(response, 401, { error: 'WRONGPASS invalid or missing auth token' })
      if (fault?.kind === 'hang') return undefined
      if (fault?.kind === 'refuse') return answer(response, fault.status, { error: 'refused' })
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown[]
      const many = request.url === '/pipeline' || request.url === '/multi-exec'
      const plain = (many ? body : [body]).map((command) => plainScript((command as unknown[]).map(String)))
      const commands = fault?.kind === 'end_script' ? plain.map((command) => endingScript(command, fault)) : plain
      counts.commands += commands.length
      counts.names.push(...commands.map(([name]) => String(name).toLowerCase()))
      const base64 = request.headers['upstash-encoding'] === 'base64'
      const run = fault?.kind === 'first_only' ? commands.slice(0, 1) : commands
      connection.send(request.url === '/multi-exec' ? [['MULTI'], ...run, ['EXEC']] : run).then(
        (replies) => {
          if (fault?.kind === 'lose_reply') return response.destroy()
          const results = request.url === '/multi-exec' ? replies.at(-1) : replies
          // A transaction that Redis refuses as a whole, as while it loads its file.
          if (!Array.isArray(results))
            return answer(response, 400, { error: results instanceof ReplyError ? results.message : 'no transaction' })
          const shown = results.map((reply) =>
            reply instanceof ReplyError ? { error: reply.message } : { result: encode(reply, base64) },
          )
          if (fault?.kind === 'cut_reply') shown.splice(1)
          if (fault?.kind === 'first_only')
            shown.push(...commands.slice(1).map(() => ({ error: 'ERR command was refused' })))
          return many
            ? answer(response, 200, shown)
            : answer(response, 'error' in (shown[0] ?? {}) ? 400 : 200, shown[0])
        },
        () => answer(response, 502, { error: 'no Redis behind' }),
      )
      return undefined
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const standIn: UpstashStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    counts,
    resetCounts: () => {
      counts.requests = 0
      counts.commands = 0
      counts.names = []
    },
    fault: undefined,
    command: async (...parts) => (await connection.send([parts]))[0] ?? null,
    killRedis: () => redis.kill(),
    startRedisAgain: async () => {
      redis = await startRedis({ ...options, port: redis.port })
      connection = await connectRedis(redis.host, redis.port)
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      connection.close()
      await redis[Symbol.asyncDispose]()
    },
  }
  return standIn
}

/** A stock Redis rejects a script with this first line; without it the script has another hash. */
function withoutUpstashFlag(): (command: string[]) => string[] {
  const head = '#!lua flags=allow-key-locking\n'
  const sha1 = (text: string) => createHash('sha1').update(text).digest('hex')
  const plainHashes = new Map<string, string>()
  return (command) => {
    const [name = '', script = '', ...rest] = command
    if (/^eval$/i.test(name) && script.startsWith(head)) {
      const plain = script.slice(head.length)
      plainHashes.set(sha1(script), sha1(plain))
      return [name, plain, ...rest]
    }
    const hash = /^evalsha$/i.test(name) ? plainHashes.get(script) : undefined
    return hash === undefined ? command : [name, hash, ...rest]
  }
}

/** A script that raises an error at one of its calls, as any of them may. */
function endingScript(command: string[], { calls, within }: { calls: number; within: string }): string[] {
  const [name = '', script = '', ...rest] = command
  if (!/^eval$/i.test(name) || !script.includes(within)) return command
  const ending = `local left = ${calls}
local redis = setmetatable({ call = function(...)
  left = left - 1
  if left == 0 then return error('ENDED') end
  return redis.call(...)
end }, { __index = redis })
`
  return [name, ending + script, ...rest]
}

function encode(reply: Reply, base64: boolean): unknown {
  if (Array.isArray(reply)) return reply.map((item) => encode(item, base64))
  return base64 && typeof reply === 'string' && reply !== 'OK' ? Buffer.from(reply, 'utf8').toString('base64') : reply
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
