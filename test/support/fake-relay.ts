/** A server on a loopback port that answers as a test specifies. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeAnswer {
  readonly status?: number
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface FakeRelay extends Disposable {
  readonly url: string
  readonly requests: { readonly path: string; readonly body: string }[]
}

export async function startFakeRelay(
  answer: (path: string, body: string, count: number) => FakeAnswer,
): Promise<FakeRelay> {
  const requests: { path: string; body: string }[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += String(part)
    const path = request.url ?? ''
    requests.push({ path, body: text })
    const { status = 200, body = '', headers = {} } = answer(path, text, requests.length)
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.dispose]: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
