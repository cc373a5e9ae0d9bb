/**
 * The senders, in a process of their own: each event is sent when it is due, whatever became of those before it. They write
 * to sockets and read as little of an answer as they can, so that they use little CPU.
 *
 * Argument: a seed, from which times, visitors and stamps are drawn. Takes a `LoadOrder` as a message and sends a
 * `LoadResult` back, or `events` and sends `SentEvents`.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SentEvent } from '../../load/senders.ts'
import { seededRandom } from '../../support/clock.ts'
import { testSecrets } from '../../support/secrets.ts'
import type { LoadOrder, LoadResult, SentEvents } from './open-loop.ts'

const visitors = 5_000
/** A sender gives up then. */
const patienceMs = 30_000
/** Connections that are open before the first event, as a proxy before a relay keeps them; more are opened when all are busy. */
const connectionsForSeconds = 2
const connectionsAtMost = 3_000
/** How often it is looked which events are due. */
const tickMs = 2
/** How far the stamps of events that come one after another are out of order. */
const disorder = 50
/** Events are this old at first, so that none has a stamp of the future. */
const oldestMs = 7_200_000

interface Answer {
  /** 0 without an answer. */
  readonly status: number
  readonly head: string
  readonly body: string
}

const none: Answer = { status: 0, head: '', body: '' }

const random = seededRandom(Number(process.argv[2]))
const firstRank = Date.now() - oldestMs
const ranks = new Set<string>()
let events: [string, SentEvent][] = []
let number = 0
let turns = 0

process.on('disconnect', () => process.exit())
process.on('message', (order: LoadOrder | 'events') => {
  if (order !== 'events') return void run(order).then((result) => process.send?.(result))
  process.send?.(events satisfies SentEvents)
  events = []
})
process.send?.('ready')

async function run({ port, rate, ms }: LoadOrder): Promise<LoadResult> {
  const idle = await openConnections(port, Math.min(connectionsAtMost, Math.ceil(rate * connectionsForSeconds)))
  const statuses: Record<number, number> = {}
  const times: number[] = []
  const answers: Promise<void>[] = []
  let bare = 0
  const startMs = performance.now()
  for (let dueMs = startMs + gapMs(rate); dueMs < startMs + ms; dueMs += gapMs(rate)) {
    while (performance.now() < dueMs) await sleep(tickMs)
    answers.push(send(dueMs))
  }
  await Promise.all(answers)
  for (const connection of idle) connection.socket.destroy()
  times.sort((one, other) => one - other)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
  return { sent: answers.length, statuses, bare, p50Ms: at(0.5), p99Ms: at(0.99) }

  async function send(dueMs: number): Promise<void> {
    const { text, own } = nextEvent()
    const connection = idle.pop() ?? openConnection(port)
    const answer = await Promise.race([connection.ask(text), sleep(patienceMs, none, { ref: false })])
    const { status, head, body } = answer
    if (status === 0) connection.socket.destroy()
    else idle.push(connection)
    times.push(performance.now() - dueMs)
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status === 503 && !/\r\nretry-after: \d+\r\n/i.test(head)) bare++
    if (status !== 200 && status !== 202) return
    const [, toldAs = ''] = /"status":"(\w+)"/.exec(body) ?? []
    for (const event of own) Object.assign(event, { acknowledgedOf: ++turns, toldAs })
  }
}

/** The time to the next of events that come independently of each other. */
function gapMs(rate: number): number {
  return (-Math.log(1 - random.fraction()) * 1_000) / rate
}

/** An update of three attributes, each with a value of its own. Some visitors come often. */
function nextEvent(): { readonly text: string; readonly own: readonly SentEvent[] } {
  number++
  const visitor = `visitor-${Math.floor(visitors * random.fraction() ** 2)}`
  let rank = firstRank + number + Math.floor(random.fraction() * disorder)
  while (ranks.has(`${visitor} ${rank}`)) rank++
  ranks.add(`${visitor} ${rank}`)
  const attributes: Record<string, string> = {}
  const own: SentEvent[] = []
  for (const name of ['loanStatus', 'loanAmount', 'lastStore']) {
    const value = `${name}-${number}`
    attributes[name] = value
    const event: SentEvent = { key: `3p:${visitor} ${name}`, rank, begunOf: ++turns }
    own.push(event)
    events.push([value, event])
  }
  const body = JSON.stringify({ id: `e-${number}`, visitor: { thirdPartyId: visitor }, attributes, occurredAt: rank })
  const text = `POST /v1/updates HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${testSecrets.apiToken}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  return { text, own }
}

/** All of them open. */
async function openConnections(port: number, count: number): Promise<Connection[]> {
  const opened = Array.from({ length: count }, () => openConnection(port))
  await Promise.all(
    opened.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))),
  )
  return opened
}

interface Connection {
  readonly socket: Socket
  ask(text: string): Promise<Answer>
}

function openConnection(port: number): Connection {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  let received = ''
  let waiting: ((answer: Answer) => void) | undefined
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    received += chunk
    const answer = answerIn(received)
    if (answer === undefined) return
    received = ''
    waiting?.(answer)
  })
  socket.on('error', () => {}).on('close', () => waiting?.(none))
  return {
    socket,
    ask: (text) =>
      new Promise((resolve) => {
        waiting = resolve
        if (socket.destroyed) resolve(none)
        else socket.write(text)
      }),
  }
}

/** Undefined while it is not whole. */
function answerIn(text: string): Answer | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const head = text.slice(0, headEnd + 2)
  const body = text.slice(headEnd + 4)
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(head) ?? []
  const isWhole = length === undefined ? body.endsWith('0\r\n\r\n') : body.length >= Number(length)
  return isWhole ? { status: Number(text.slice(9, 12)), head, body } : undefined
}
