/** A server in a child process, with sources that throw and reject with anything. */
import { describe, expect, it } from 'vitest'
import { newFolder, startRelay } from '../runtimes/relays.ts'
import { settingsFor } from '../support/settings.ts'

describe('a server', () => {
  it('keeps running whatever a deployer’s code throws or rejects with, also in promises that nobody awaits', {
    timeout: 60_000,
  }, async () => {
    const names = ['proof', 'schema', 'id', 'mapping', 'fine']
    const secrets = Object.fromEntries(names.map((name) => [`HOOK_SECRET_${name.toUpperCase()}`, 'made-up-secret']))
    const settings = settingsFor('http://127.0.0.1:9', secrets)
    const relay = await startRelay('node', newFolder(), settings, 'test/server/fixtures/throwing-sources.ts')
    try {
      const post = async (name: string) => {
        const { status } = await fetch(`${relay.url}/hooks/${name}`, {
          method: 'POST',
          headers: { authorization: 'Bearer made-up-secret', 'content-type': 'application/json' },
          body: '{"customer":"1"}',
        })
        return [name, status]
      }
      const answers = []
      for (const name of names) answers.push(await post(name))
      expect(answers).toEqual([
        ['proof', 503],
        ['schema', 202],
        ['id', 202],
        ['mapping', 202],
        ['fine', 202],
      ])
      expect((await fetch(`${relay.url}/healthz`)).status).toBe(200)
      expect(relay.printed()).toMatch(/"unhandled_rejection","error":"unknown"/)
      expect(relay.printed()).not.toContain('a text')
    } finally {
      expect(await relay.end('SIGTERM')).toBe(0)
    }
  })
})
