/** The time from the start of a process to its first accepted webhook: measured in turn on each runtime, and printed. */
import { describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { sendHook, signedHook } from '../support/sender.ts'
import { settingsFor } from '../support/settings.ts'
import { newFolder, type ServerRuntime, startRelay } from './relays.ts'

const rounds = 5
const servers: readonly ServerRuntime[] = ['node', 'deno', 'bun']

describe('the time from the start to the first accepted webhook', () => {
  it('is measured on Node, Deno and Bun, and printed', { timeout: 120_000 }, async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const times = new Map(servers.map((runtime) => [runtime, [] as number[]]))
    for (let round = 0; round < rounds; round++)
      for (const runtime of servers) {
        const event = {
          loan: `l${round}`,
          customer: runtime,
          status: 'funded',
          amount: 1,
          at: new Date().toISOString(),
        }
        const request = signedHook('loan', `${runtime}-${round}`, event)
        const startMs = performance.now()
        const relay = await startRelay(runtime, newFolder(), settingsFor(emulator.origin))
        expect(await sendHook(relay.url, request)).toMatchObject({ status: 200, answer: { status: 'submitted' } })
        times.get(runtime)?.push(performance.now() - startMs)
        await relay.end('SIGKILL')
      }
    const median = (all: readonly number[]) => [...all].sort((a, b) => a - b)[all.length >> 1] ?? 0
    const fastest = Math.min(...[...times.values()].map(median))
    for (const [runtime, all] of times)
      console.log(
        `${runtime.padEnd(5)} ${median(all).toFixed(0)} ms, median of ${rounds} (${Math.min(...all).toFixed(0)} to ${Math.max(...all).toFixed(0)}), ${(median(all) / fastest).toFixed(1)}x`,
      )
  })
})
