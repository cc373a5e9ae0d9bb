/**
 * A process that is suspended while it connects (a sleeping laptop, a paused machine, a frozen container) does not send its
 * old value when it wakes (G3). Real processes, a real TLS handshake, SIGSTOP.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, URL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCertificate } from './certificate.ts'

const startWithinMs = 1_000
const yes = '<response><success>true</success></response>'
const folder = mkdtempSync(join(tmpdir(), 'target-relay-tls-'))
let trusted = ''
/** Bodies that arrived whole. */
let received: string[] = []
const answered = () => {}
let port = 0
/** Called when a client has connected; the handshake goes on once the returned promise resolves. */
let onConnect: () => Promise<void> = async () => {}

const target = (key: string, cert: string) =>
  createServer({ key, cert }, (request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      received.push(body)
      response.end(yes)
      answered()
    })
    request.on('error', () => {})
  })
const servers: { close(): unknown }[] = []

beforeAll(async () => {
  const { key, certificate } = makeCertificate(folder)
  trusted = certificate
  const secure = target(readFileSync(key, 'utf8'), readFileSync(certificate, 'utf8'))
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', () => resolve()))
  const behind = (secure.address() as AddressInfo).port
  const slow = createTcp((client) => {
    client.pause().on('error', () => {})
    void onConnect().then(() => {
      const server = connect(behind, '127.0.0.1').on('error', () => {})
      client.pipe(server).pipe(client)
      client.resume()
    })
  })
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', () => resolve()))
  port = (slow.address() as AddressInfo).port
  servers.push(slow, secure)
})

afterAll(() => {
  for (const server of servers) server.close()
  rmSync(folder, { recursive: true, force: true })
})

const commands = {
  Node: ['node'],
  Bun: ['bun'],
} as const

function start(runtime: keyof typeof commands) {
  const [command] = commands[runtime]
  const script = fileURLToPath(new URL('sender.ts', import.meta.url))
  const child = spawn(command, [script, `https://localhost:${port}/m2/demo/profile/update`, String(startWithinMs)], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: trusted },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const ended = new Promise<string>((resolve) =>
    child.once('close', () => resolve(output.trim().split('\n').at(-1) ?? '')),
  )
  return { child, ended }
}

const passed = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

describe.each(Object.keys(commands) as (keyof typeof commands)[])('%s', (runtime) => {
  it('sends nothing when it wakes if it was suspended in the handshake for longer than a call may take to start (G3)', async () => {
    received = []
    const connected = Promise.withResolvers<void>()
    const awake = Promise.withResolvers<void>()
    onConnect = () => {
      connected.resolve()
      return awake.promise
    }
    const { child, ended } = start(runtime)
    await connected.promise
    child.kill('SIGSTOP')
    // Real time must pass, which the suspended process does not notice.
    await passed(2 * startWithinMs)
    child.kill('SIGCONT')
    awake.resolve()
    expect(JSON.parse(await ended)).toEqual({ kind: 'unsent', why: 'late' })
    expect(received).toEqual([])
  })

  it('sends as usual if it was not suspended', async () => {
    received = []
    onConnect = async () => {}
    const { ended } = start(runtime)
    expect(JSON.parse(await ended)).toEqual({ kind: 'delivered' })
    expect(received).toEqual(['mbox3rdPartyId=made-up&profile.tier=old'])
  })
})
