/** HTTP as bytes on a socket: it can send what no client library would, and nothing is corrected on the way. */
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'

export interface RawAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

const longestMs = 20_000

/**
 * The answer to bytes on their own connection; undefined if the server closed it without one.
 *
 * @param endAfterMs without an answer by then the sender ends its half, since the server waits for the rest of an incomplete request
 */
export async function sendRaw(origin: string, bytes: Uint8Array, endAfterMs?: number): Promise<RawAnswer | undefined> {
  const { hostname, port } = new URL(origin)
  const chunks: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    socket.setTimeout(longestMs, () => socket.destroy(new Error('no answer in time')))
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      // A server may keep the connection open for more requests: the answer to this one is complete.
      if (isWhole(Buffer.concat(chunks))) socket.destroy()
    })
    const end = endAfterMs === undefined ? undefined : setTimeout(() => socket.end(), endAfterMs)
    socket.once('close', () => {
      clearTimeout(end)
      resolve()
    })
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve() : reject(error),
    )
    socket.once('connect', () => socket.write(bytes))
  })
  return parse(Buffer.concat(chunks))
}

function isWhole(answer: Buffer): boolean {
  const end = answer.indexOf('\r\n\r\n')
  if (end === -1) return false
  const head = answer.subarray(0, end).toString('latin1').toLowerCase()
  const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1]
  if (length !== undefined) return answer.length >= end + 4 + Number(length)
  return /\r\ntransfer-encoding: *chunked/.test(head) && answer.subarray(end).includes('\r\n0\r\n\r\n')
}

function parse(answer: Buffer): RawAnswer | undefined {
  const end = answer.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [line = '', ...lines] = answer.subarray(0, end).toString('latin1').split('\r\n')
  const headers = new Map(
    lines.map((header) => [header.split(':')[0]?.toLowerCase() ?? '', header.replace(/^[^:]*: */, '')]),
  )
  const rest = answer.subarray(end + 4)
  const body = headers.get('transfer-encoding')?.toLowerCase() === 'chunked' ? unchunked(rest) : rest
  // A request that accepts gzip may be answered with it.
  const plain = headers.get('content-encoding') === 'gzip' ? gunzipSync(body) : body
  return { status: Number(line.split(' ')[1]), headers, body: plain.toString('utf8') }
}

function unchunked(rest: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; ; ) {
    const lineEnd = rest.indexOf('\r\n', at)
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString('latin1'), 16)
    if (lineEnd === -1 || !(size > 0)) return Buffer.concat(pieces)
    pieces.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}
