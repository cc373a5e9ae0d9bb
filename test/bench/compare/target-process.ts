/**
 * Target, as cheap as possible: every POST is answered with Target's success. The emulator, which decodes,
 * counts and remembers, would use a good part of a small machine's CPU.
 *
 * Sends its port once it listens; answers any message with the number of calls so far.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const taken =
  '<response>\n    <success>true</success>\n    <pcId></pcId>\n    <message>Request successfully submitted</message>\n</response>\n'
const headers = { 'content-type': 'text/xml;charset=UTF-8', 'content-length': taken.length }

let calls = 0
const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  request.resume().on('end', () => {
    calls++
    response.writeHead(200, headers).end(taken)
  })
})
process.on('disconnect', () => process.exit())
process.on('message', () => process.send?.(calls))
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
