/** What an unauthenticated sender can cost a server, which runs in a child process here. */
import { describe, expect, it } from 'vitest'
import { newFolder, startRelay } from '../runtimes/relays.ts'
import { flood } from '../support/flood.ts'
import { settingsFor } from '../support/settings.ts'

const megabyte = 1_000_000

describe('a server under unauthenticated senders', () => {
  it('reads six bodies of a million one-byte chunks each in less than 100 MB, answers them, and /healthz meanwhile', {
    timeout: 120_000,
  }, async () => {
    const relay = await startRelay('node', newFolder(), settingsFor('http://127.0.0.1:9'))
    try {
      const { answers, grownBytes, probes } = await flood(relay, {
        connections: 6,
        chunks: 1_000_000,
        path: '/hooks/call-centre',
        giveUpMs: 60_000,
      })
      expect(grownBytes).toBeLessThan(100 * megabyte)
      expect(Object.keys(probes)).toEqual(['200'])
      expect(answers.every((answer) => ['401', '408', '503'].includes(answer))).toBe(true)
    } finally {
      await relay.end('SIGKILL')
    }
  })
})
