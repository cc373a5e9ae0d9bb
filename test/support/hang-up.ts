/** A sender that begins a request to `/v1/updates` and can hang up on it. */
import { connect, type Socket } from 'node:net'
import { testSecrets } from './secrets.ts'

/** Writes a share of a request's bytes (1 is the whole), and resolves to the connection once they are written. */
export async function beginRequest(
  origin: string,
  body: string,
  share: number,
): Promise<Pick<Socket, 'resetAndDestroy'>> {
  const { hostname, port } = new URL(origin)
  const head = [
    'POST /v1/updates HTTP/1.1',
    `host: ${hostname}:${port}`,
    `authorization: Bearer ${testSecrets.apiToken}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  const request = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
  const socket = connect(Number(port), hostname)
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  // The sender that hangs up ignores errors on the connection.
  socket.on('error', () => {}).resume()
  await new Promise<void>((resolve) =>
    socket.write(request.subarray(0, Math.floor(share * request.length)), () => resolve()),
  )
  return socket
}
