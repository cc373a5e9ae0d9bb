/** `npm run emulator -- --port 8788`: the emulator alone, until Ctrl-C. */
import { parseArgs } from 'node:util'
import { startEmulator } from './emulator.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8788' },
    client: { type: 'string', default: 'demo' },
    token: { type: 'string' },
    'known-visitors-only': { type: 'boolean', default: false },
  },
})
const emulator = await startEmulator({
  port: Number(values.port),
  clientCode: values.client,
  autoSeed: !values['known-visitors-only'],
  ...(values.token === undefined ? {} : { token: values.token }),
})
console.log(`Adobe Target emulator for client "${values.client}" on ${emulator.origin}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void emulator.close())
