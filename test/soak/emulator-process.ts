/**
 * The emulator as a process of its own, to be killed at any moment: every call is on disk before it is answered, so that
 * the record outlives it.
 */
import { openSync, writeSync } from 'node:fs'
import { startEmulator } from '../emulator/emulator.ts'

const [port = '', record = ''] = process.argv.slice(2)
const file = openSync(record, 'a')
const write = (line: object) => writeSync(file, `${JSON.stringify(line)}\n`)
const emulator = await startEmulator({
  port: Number(port),
  autoSeed: true,
  onArrival: (atMs) => write({ arrivedMs: atMs }),
  onTaken: ({ visitor, pairs }) => write({ visitor, pairs: [...pairs] }),
})
// Now and then it misbehaves by itself.
setInterval(() => emulator.faults.add({ kind: 'status', status: 503, count: 2 }), 3_000)
setInterval(() => emulator.faults.add({ kind: 'delay', delayMs: 700, count: 5 }), 2_000)
process.send?.('ready')
