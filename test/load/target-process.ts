/**
 * Target's stand-in as a separate process that can be killed at any moment: every call is on disk before it is answered,
 * so that the record survives (`judge.ts` reads it).
 *
 * Arguments: port, file of the record, and for TLS the files of key and certificate. With TLS a connection is held back
 * for a random time before its handshake, and an idle one is soon closed, so that some processes are suspended in handshakes.
 *
 * It misbehaves until it is sent a message (`calmTarget`); what still waits then, waits for the relay alone.
 */
import { openSync, readFileSync, writeSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { startEmulator } from '../../src/emulator/emulator.ts'

const heldBackMs = 400
const keepAliveMs = 1_500

const [port = '', record = '', key, certificate] = process.argv.slice(2)
const secure = key !== undefined && certificate !== undefined
let calm = false
const file = openSync(record, 'a')
const write = (line: object) => writeSync(file, `${JSON.stringify(line)}\n`)
const emulator = await startEmulator({
  ...(secure
    ? { tls: { key: readFileSync(key, 'utf8'), cert: readFileSync(certificate, 'utf8') }, keepAliveMs }
    : { port: Number(port) }),
  autoSeed: true,
  onCall: (arrivedMs) => write({ arrivedMs }),
  onTaken: ({ visitor, pairs, atMs }) => write({ visitor, pairs: [...pairs], atMs }),
})
if (secure) {
  const behind = Number(new URL(emulator.origin).port)
  const front = createServer((client) => {
    client.pause().on('error', () => {})
    setTimeout(
      () => {
        const server = connect(behind, '127.0.0.1').on('error', () => {})
        client.on('close', () => server.destroy())
        server.on('close', () => client.destroy())
        client.pipe(server).pipe(client)
      },
      Math.random() * (calm ? 0 : heldBackMs),
    )
  })
  await new Promise<void>((resolve) => front.listen(Number(port), '127.0.0.1', () => resolve()))
}
// Now and then it misbehaves: only for a share of the calls and for a while, so that some get through.
const misbehaving = setInterval(() => {
  const draw = Math.random()
  emulator.faults.clear()
  if (draw < 0.3) emulator.faults.add({ kind: 'status', status: 503, share: 0.6, seed: Math.floor(draw * 1e9) })
  else if (draw < 0.6) emulator.faults.add({ kind: 'delay', delayMs: 700, share: 0.5, seed: Math.floor(draw * 1e9) })
}, 2_000)
process.once('message', () => {
  calm = true
  clearInterval(misbehaving)
  emulator.faults.clear()
})
process.send?.('ready')
