/** HTTP in, on whichever runtime this is: each with its own server, so that what it is good at stays. */
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Listening {
  /** Without a trailing slash. */
  readonly url: string
  /** Takes nothing new, and resolves once what was under way is answered. */
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

/** Bun closes a connection on which nothing came for so long, also while an answer is worked on. Its longest. */
const bunIdleSeconds = 255
const idleCheckMs = 20
/** Time enough for the last answer to be written. */
const quietMs = 1_000
/** A sender that takes longer with its headers holds a connection for nothing. */
const maxHeadersMs = 10_000
/** Longer than the 60 s for which a usual proxy keeps a connection: who closes first must be the one that asks. */
const keptAliveMs = 75_000
/** Of a request that names no host: HTTP/1.0, as a plain health check of HAProxy speaks it. */
const unnamedHost = 'localhost'
/** Longer than any body may take (`edge/http/body.ts`), which is then answered. */
const maxRequestMs = 30_000
/** Node counts the bytes of what waits to be read and not the objects, of which each byte may be one. */
const maxUnreadBytes = 4_096
/** Each holds some kilobytes even where it sends nothing; more wait in the system's queue or are refused. */
const maxConnections = 4_096

/** Rejects where the port is taken or the host is none of this machine's. */
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
      // What went wrong is told to nobody outside.
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
    server.once('error', reject).listen(port, host, resolve)
  })
  return {
    url: at((server.address() as AddressInfo).port),
    close: () =>
      new Promise((resolve) => {
        // Connections that are kept alive would hold it open once their last answer is given; so would one on which a request
        // never came to its end, and of which nothing was taken.
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
