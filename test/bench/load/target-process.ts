/**
 * Target, which takes each update some time after it was called, as cheap as possible: bodies are kept as they are, and
 * decoded when they are asked for.
 *
 * Argument: how long a call takes, in ms. Sends its port once it listens; answers `record` with what was called since the
 * last time, a `TargetRecord`, and anything else with nothing.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeUpdate } from '../../../src/emulator/decode.ts'
import type { TargetRecord } from '../../load/judge.ts'

const taken =
  '<response>\n    <success>true</success>\n    <pcId></pcId>\n    <message>Request successfully submitted</message>\n</response>\n'
const headers = { 'content-type': 'text/xml;charset=UTF-8', 'content-length': taken.length }
const delayMs = Number(process.argv[2])

let arrivals: number[] = []
let bodies: { readonly body: string; readonly atMs: number }[] = []
const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  arrivals.push(Date.now())
  let body = ''
  request
    .setEncoding('latin1')
    .on('data', (chunk: string) => {
      body += chunk
    })
    .on('end', () =>
      setTimeout(() => {
        bodies.push({ body, atMs: Date.now() })
        response.writeHead(200, headers).end(taken)
      }, delayMs),
    )
})
process.on('disconnect', () => process.exit())
process.on('message', () => {
  const record: TargetRecord = {
    arrivals,
    taken: bodies.flatMap(({ body, atMs }) => {
      const update = decodeUpdate(body)
      return typeof update === 'string' ? [] : [{ visitor: update.visitor, pairs: [...update.pairs], atMs }]
    }),
  }
  arrivals = []
  bodies = []
  process.send?.(record)
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () =>
  process.send?.((server.address() as AddressInfo).port),
)
