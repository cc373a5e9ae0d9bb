/** HTTP in, on whichever runtime this is: each with its own server, so that what it is good at stays. */
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
  serve(options: { hostname: string; port: number; idleTimeout: number; fetch: Handler }): { readonly port: number; stop(): Promise<void> }
}
const { Deno, Bun } = globalThis as { Deno?: Deno; Bun?: Bun }

/** Bun closes a connection on which nothing came for so long, also while an answer is worked on. Its longest. */
const bunIdleSeconds = 255
const idleCheckMs = 20
/** Time enough for the last answer to be written. */
const quietMs = 1_000

/** Rejects where the port is taken or the host is none of this machine's. */
export async function listen(handler: Handler, { host, port }: ListenOptions): Promise<Listening> {
  const at = (taken: number) => `http://${host.includes(':') ? `[${host}]` : host}:${taken}`
  if (Deno !== undefined) {
    const server = Deno.serve({ hostname: host, port, onListen: () => {} }, handler)
    return { url: at(server.addr.port), close: () => server.shutdown() }
  }
  if (Bun !== undefined) {
    const server = Bun.serve({ hostname: host, port, idleTimeout: bunIdleSeconds, fetch: handler })
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
  const server = createAdaptorServer({ fetch: counted, overrideGlobalObjects: false })
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
