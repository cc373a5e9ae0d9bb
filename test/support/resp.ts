/** The part of Redis's protocol (RESP2) that the REST stand-in needs. */
import { connect } from 'node:net'

export type Reply = string | number | null | ReplyError | Reply[]
export class ReplyError extends Error {}

export interface RedisConnection {
  /** Sends commands in one write; the replies come in order. Rejects when the connection is lost. */
  send(commands: readonly (readonly string[])[]): Promise<Reply[]>
  close(): void
}

export async function connectRedis(host: string, port: number): Promise<RedisConnection> {
  const socket = connect({ host, port, noDelay: true })
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  let buffered = Buffer.alloc(0)
  let lost: Error | undefined
  const waiting: {
    count: number
    replies: Reply[]
    resolve: (replies: Reply[]) => void
    reject: (error: Error) => void
  }[] = []
  const fail = () => {
    lost = new Error('the connection to Redis is lost')
    for (const { reject } of waiting.splice(0)) reject(lost)
  }
  socket.on('error', fail).on('close', fail)
  socket.on('data', (chunk) => {
    buffered = Buffer.concat([buffered, chunk])
    let offset = 0
    for (;;) {
      const [head] = waiting
      const parsed = head === undefined ? undefined : parse(buffered, offset)
      if (head === undefined || parsed === undefined) break
      offset = parsed.end
      head.replies.push(parsed.reply)
      if (head.replies.length === head.count) waiting.shift()?.resolve(head.replies)
    }
    buffered = buffered.subarray(offset)
  })
  return {
    send: (commands) =>
      new Promise((resolve, reject) => {
        if (lost !== undefined) return reject(lost)
        if (commands.length === 0) return resolve([])
        waiting.push({ count: commands.length, replies: [], resolve, reject })
        socket.write(
          commands
            .map(
              (parts) =>
                `*${parts.length}\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`,
            )
            .join(''),
        )
        return undefined
      }),
    close: () => socket.destroy(),
  }
}

function parse(bytes: Buffer, start: number): { reply: Reply; end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd === -1) return undefined
  const line = bytes.toString('utf8', start + 1, lineEnd)
  const after = lineEnd + 2
  switch (String.fromCharCode(bytes[start] ?? 0)) {
    case '+':
      return { reply: line, end: after }
    case '-':
      return { reply: new ReplyError(line), end: after }
    case ':':
      return { reply: Number(line), end: after }
    case '$': {
      const size = Number(line)
      if (size === -1) return { reply: null, end: after }
      if (bytes.length < after + size + 2) return undefined
      return { reply: bytes.toString('utf8', after, after + size), end: after + size + 2 }
    }
    case '*': {
      const count = Number(line)
      if (count === -1) return { reply: null, end: after }
      const items: Reply[] = []
      let end = after
      for (let index = 0; index < count; index++) {
        const item = parse(bytes, end)
        if (item === undefined) return undefined
        items.push(item.reply)
        end = item.end
      }
      return { reply: items, end }
    }
    default:
      throw new Error('not a reply of Redis')
  }
}
