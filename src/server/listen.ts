/** The HTTP server, on whichever runtime this is: each uses its own. */
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Listening {
  /** Without a trailing slash. */
  readonly url: string
  /** Accepts nothing new, and resolves once all requests in flight are answered. */
  close(): Promise<void>
}

export interface ListenOptions {
  readonly host: string
  /** 0: a free one. */
  readonly port: number
}

export type Handler = (request: Request) => Response | Promise<Response>

interface Deno {
  serve(
    options: { hostname: string; port: number; onListen: () => void },
    handler: Handler,
  ): { readonly addr: { readonly port: number }; shutdown(): Promise<void> }
}
interface Bun {
  serve(options: { hostname: string; port: number; idleTimeout: number; development: false; fetch: Handler }): {
    readonly port: number
    stop(): Promise<void>
  }
}
const { Deno, Bun } = globalThis as { Deno?: Deno; Bun?: Bun }

/** Bun closes a connection that is idle for this long, also while a request is handled. The longest that it allows. */
const bunIdleSeconds = 255
const idleCheckMs = 20
/** Enough time to write the last answer. */
const quietMs = 1_000
/** A sender that takes longer with its headers is cut off: it only holds a connection. */
const maxHeadersMs = 10_000
/** Longer than the 60 s for which a usual proxy keeps a connection: the client must close first. */
const keptAliveMs = 75_000
/** The host of a request that names none (HTTP/1.0, as in HAProxy's plain health check). */
const unnamedHost = 'localhost'
/** Longer than any body may take (`edge/http/body.ts`), which is then answered. */
const maxRequestMs = 30_000
/** Node counts the bytes that wait to be read and not the chunks, and each chunk may have one byte. */
const maxUnreadBytes = 4_096
/** Each takes some kilobytes even if it sends nothing; further ones wait in the system's queue or are refused. */
const maxConnections = 4_096

/** Rejects if the port is in use or the host is not one of this machine's. */
export async function listen(handler: Handler, { host, port }: ListenOptions): Promise<Listening> {
  const at = (taken: number) => `http://${host.includes(':') ? `[${host}]` : host}:${taken}`
  if (Deno !== undefined) {
    const server = Deno.serve({ hostname: host, port, onListen: () => {} }, handler)
    return { url: at(server.addr.port), close: () => server.shutdown() }
  }
  if (Bun !== undefined) {
    const server = Bun.serve({
      hostname: host,
      port,
      idleTimeout: bunIdleSeconds,
      // Errors are not shown to senders.
      development: false,
      fetch: (request) =>
        handler(URL.canParse(request.url) ? request : new Request(`http://${unnamedHost}${request.url}`, request)),
    })
    return { url: at(server.port), close: () => server.stop() }
  }
  const { createAdaptorServer } = await import('@hono/node-server')
  let underWay = 0
  let quietSinceMs = performance.now()
  const counted: Handler = async (request) => {
    underWay++
    try {
      return await handler(request)
    } finally {
      underWay--
      quietSinceMs = performance.now()
    }
  }
  const server = createAdaptorServer({
    fetch: (request, { incoming }) => counted(withLeanBody(request, incoming as IncomingMessage)),
    overrideGlobalObjects: false,
    hostname: unnamedHost,
    serverOptions: {
      headersTimeout: maxHeadersMs,
      requestTimeout: maxRequestMs,
      keepAliveTimeout: keptAliveMs,
      highWaterMark: maxUnreadBytes,
    },
  })
  if ('maxConnections' in server) server.maxConnections = maxConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ port, host, backlog: maxConnections }, resolve)
  })
  return {
    url: at((server.address() as AddressInfo).port),
    close: () =>
      new Promise((resolve) => {
        // Kept-alive connections would hold the server open after their last answer; so would one on which a request
        // never arrived completely.
        const idle = setInterval(() => {
          if (!('closeIdleConnections' in server)) return
          if (underWay === 0 && performance.now() - quietSinceMs > quietMs) server.closeAllConnections()
          else server.closeIdleConnections()
        }, idleCheckMs)
        server.close(() => {
          clearInterval(idle)
          resolve()
        })
      }),
  }
}

/**
 * Node's own conversion of a request's body into a stream keeps an object and a promise for each chunk, and a sender
 * chooses how small chunks are: 6 MB in chunks of one byte cost it 700 MB. This one takes whatever came in since the
 * last read as one piece.
 */
function withLeanBody(request: Request, incoming: IncomingMessage): Request {
  if (request.method === 'GET' || request.method === 'HEAD') return request
  let body: ReadableStream<Uint8Array> | undefined
  return Object.defineProperty(request, 'body', {
    get: () => {
      body ??= leanBody(incoming)
      return body
    },
  })
}

const bodyEvents = ['readable', 'end', 'error', 'close'] as const

function leanBody(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  let stopLooking = () => {}
  return new ReadableStream<Uint8Array>(
    {
      pull: (controller) =>
        new Promise<void>((resolve) => {
          const look = () => {
            const piece = incoming.read() as Buffer | null
            if (piece !== null) controller.enqueue(piece)
            else if (incoming.readableEnded) controller.close()
            else if (incoming.destroyed) controller.error(new Error('the sender hung up'))
            else return
            stopLooking()
          }
          stopLooking = () => {
            for (const event of bodyEvents) incoming.off(event, look)
            resolve()
          }
          for (const event of bodyEvents) incoming.on(event, look)
          look()
        }),
      cancel: () => stopLooking(),
    },
    { highWaterMark: 0 },
  )
}
