/** Sends a request byte for byte, as no client library would; resolves to all that came back until the connection ended or was quiet. */
import { connect } from 'node:net'

export function sendRaw(url: string, request: string, quietMs = 1_000): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let answer = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text
    })
    socket.setTimeout(quietMs, () => socket.destroy())
    socket.once('error', reject).once('close', () => resolve(answer))
    socket.write(request)
  })
}
