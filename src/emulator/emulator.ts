/**
 * An Adobe Target to develop and test against: the update endpoint, the profile fetch, and a control API
 * under `/__emulator/`. It counts what it receives by itself and shares no code with the relay, so that the relay's
 * claims can be checked against it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Faults } from './faults.ts'
import type { EmulatorOptions, Statistics, TakenCall } from './options.ts'
import { answerOther } from './other-routes.ts'
import type { Profiles } from './profiles.ts'
import { json } from './respond.ts'
import { UpdateEndpoint } from './update-endpoint.ts'

export type { EmulatorOptions, Statistics, TakenCall } from './options.ts'

export interface Emulator extends AsyncDisposable {
  readonly origin: string
  readonly profiles: Profiles
  readonly faults: Faults
  /** The last accepted updates, oldest first. */
  readonly taken: readonly TakenCall[]
  statistics(): Statistics
  /** Forgets profiles, counts and faults. */
  reset(): void
  close(): Promise<void>
}

/** Resolves when it listens on loopback; rejects where the port is in use (`EADDRINUSE`). */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const { clientCode = 'demo', now = Date.now } = options
  const endpoint = new UpdateEndpoint(options)
  const usedBefore = new WeakSet<Socket>()

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const reusedConnection = usedBefore.has(request.socket)
    usedBefore.add(request.socket)
    const isUpdate = /^\/m2\/[^/]*\/profile\/update(\?|$)/.test(request.url ?? '')
    const arrivedMs = now()
    const inWindow = isUpdate ? endpoint.arrive(arrivedMs) : 0
    readAll(request).then(
      (body) => {
        if (isUpdate) {
          options.onCall?.(arrivedMs)
          return endpoint.answer({ request, response, body, inWindow, reusedConnection }, origin)
        }
        try {
          const url = new URL(request.url ?? '/', origin)
          return answerOther(endpoint, { method: request.method, url, body, clientCode, nowMs: now() }, response)
        } catch {
          return json(response, 400, { message: 'neither a path nor a body that is read here' })
        }
      },
      () => response.destroy(),
    )
  }
  const server = options.tls === undefined ? createServer(onRequest) : createSecureServer(options.tls, onRequest)
  server.keepAliveTimeout = options.keepAliveMs ?? 60_000
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve),
  )
  const origin = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return {
    origin,
    profiles: endpoint.profiles,
    faults: endpoint.faults,
    taken: endpoint.taken,
    statistics: () => endpoint.statistics(),
    reset: () => endpoint.reset(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
