/**
 * The senders, in a process of their own: each sends an update, waits for the answer and sends the next. They write to
 * sockets and read only an answer's status and length, so that they use little CPU.
 *
 * Takes a `LoadOrder` as a message and sends a `LoadResult` back.
 */
import { connect, type Socket } from 'node:net'
import { testSecrets } from '../../support/secrets.ts'
import type { LoadOrder, LoadResult } from './load.ts'

process.on('disconnect', () => process.exit())
process.on('message', (order: LoadOrder) => void run(order).then((result) => process.send?.(result)))
process.send?.('ready')

let sent = 0

async function run({ port, senders, ms, name }: LoadOrder): Promise<LoadResult> {
  const times: number[] = []
  let refused = 0
  const sockets = await Promise.all(Array.from({ length: senders }, () => open(port)))
  const startMs = performance.now()
  const endMs = startMs + ms
  await Promise.all(
    sockets.map(async (socket) => {
      const ask = asking(socket)
      for (let fromMs = performance.now(); fromMs < endMs; ) {
        const status = await ask(request(name, sent++))
        const now = performance.now()
        times.push(now - fromMs)
        if (status !== 200) refused++
        fromMs = now
      }
      socket.destroy()
    }),
  )
  const tookMs = performance.now() - startMs
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return { updates: times.length, refused, tookMs, p50Ms: at(0.5), p99Ms: at(0.99) }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    socket.once('connect', () => resolve(socket)).once('error', reject)
  })
}

/** An update of three attributes. No update is sent twice; visitors recur. */
function request(name: string, n: number): string {
  const body = JSON.stringify({
    id: `${name}-${n}`,
    visitor: { thirdPartyId: `customer-${n % 50_000}` },
    attributes: { loanStatus: 'funded', loanAmount: 25_000 + n, lastStore: 'Bern, Spitalgasse & Co.' },
  })
  return `POST /v1/updates HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${testSecrets.apiToken}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** Sends a request on a connection; resolves to the status once the answer is whole. */
function asking(socket: Socket): (text: string) => Promise<number> {
  let received = ''
  let waiting: PromiseWithResolvers<number> | undefined
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    received += chunk
    if (!isWhole(received)) return
    const status = Number(received.slice(9, 12))
    received = ''
    waiting?.resolve(status)
  })
  socket.on('close', () => waiting?.reject(new Error('the connection was closed')))
  socket.on('error', () => {})
  return (text) => {
    waiting = Promise.withResolvers()
    socket.write(text)
    return waiting.promise
  }
}

function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf('\r\n\r\n')
  if (headEnd === -1) return false
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(answer) ?? []
  return length === undefined
    ? answer.endsWith('\r\n0\r\n\r\n')
    : answer.length >= headEnd + '\r\n\r\n'.length + Number(length)
}
