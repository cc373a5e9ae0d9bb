/** Unauthenticated senders: each sends a body in chunks of one byte, as fast as the socket accepts it. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Flood {
  /** The answer on each connection: the status line, or how it ended. */
  readonly answers: readonly string[]
  /** The server's peak memory during the flood, above what it held before. */
  readonly grownBytes: number
  /** The number of health checks during the flood, by status. */
  readonly probes: Readonly<Record<string, number>>
}

/** Long, since the server parses millions of chunks meanwhile, on a machine that may be busy. */
const probePatienceMs = 30_000

/** @param pid of the server, to measure its memory; Linux only */
export async function flood(
  { url, pid }: { readonly url: string; readonly pid: number },
  { connections, chunks, path, giveUpMs }: { connections: number; chunks: number; path: string; giveUpMs: number },
): Promise<Flood> {
  const beforeBytes = memoryOf(pid)
  let mostBytes = beforeBytes
  const probes: Record<string, number> = {}
  let under = true
  const watching = (async () => {
    while (under) {
      const answered = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(probePatienceMs) }).then(
        ({ status }) => String(status),
        ({ name }: Error) => name,
      )
      probes[answered] = (probes[answered] ?? 0) + 1
      mostBytes = Math.max(mostBytes, memoryOf(pid))
      await sleep(20)
    }
  })()
  const answers = await Promise.all(Array.from({ length: connections }, () => pour(url, path, chunks, giveUpMs)))
  under = false
  await watching
  return { answers, grownBytes: Math.max(mostBytes, memoryOf(pid)) - beforeBytes, probes }
}

/** Bytes in memory; 0 if the process is gone. */
function memoryOf(pid: number): number {
  try {
    return 1_024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

function pour(url: string, path: string, chunks: number, giveUpMs: number): Promise<string> {
  const { hostname, port } = new URL(url)
  const many = 10_000
  const piece = Buffer.from('1\r\nx\r\n'.repeat(many))
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    const end = (how: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(how)
    }
    const timer = setTimeout(() => end('no answer'), giveUpMs)
    let answered = ''
    socket.setEncoding('latin1').on('data', (text) => {
      answered += text
      const line = /^HTTP\/1\.1 (\d+)/.exec(answered)
      if (line !== null) end(line[1] ?? '')
    })
    socket
      .once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.name))
      .once('close', () => end('closed'))
    let left = chunks
    const write = () => {
      for (; left > 0; ) {
        left -= many
        if (!socket.write(piece)) {
          socket.once('drain', write)
          return
        }
      }
      socket.write('0\r\n\r\n')
    }
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
      write,
    )
  })
}
