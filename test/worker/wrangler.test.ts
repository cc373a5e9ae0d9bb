/** What `wrangler deploy` would deploy, as wrangler itself reads wrangler.toml. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { unstable_readConfig } from 'wrangler'
import { parseSettings } from '../../src/relay/settings.ts'
import { sqliteStorage } from '../../src/server/sqlite-storage.ts'
import { relayHandlers } from '../../src/workers/handlers.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const config = fileURLToPath(new URL('../../wrangler.toml', import.meta.url))

describe.each([undefined, 'staging', 'production'])('environment %s', (env) => {
  const read = unstable_readConfig({ config, ...(env === undefined ? {} : { env }) })

  it('has no client code, so no visitor’s data can go to somebody else’s account', () => {
    const parsed = parseSettings({ ...read.vars, HASH_KEY: 'k'.repeat(32) })
    expect(parsed.ok ? [] : parsed.problems).toEqual([expect.stringContaining('TARGET_CLIENT_CODE is required')])
  })

  it('has an address, and no preview URLs on the same stores', () => {
    expect([read.workers_dev, read.preview_urls]).toEqual([true, false])
  })
})

describe('the Deploy button', () => {
  const { vars, secrets } = unstable_readConfig({ config }) as {
    vars: Record<string, string>
    secrets?: { required?: string[] }
  }
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    repository: { url: string }
    cloudflare: { bindings: Record<string, { description: string }> }
  }
  // It asks for every line of this file, with what stands there as the default.
  const asked = [...readFileSync(join(root, '.dev.vars.example'), 'utf8').matchAll(/^([A-Z_]+)=(.*)$/gm)]

  it('asks for what is required and nothing else, without a default, and says what each is', () => {
    expect(asked.map(([, name]) => name)).toEqual(secrets?.required)
    expect(asked.map(([, , value]) => value).filter((value) => value !== '')).toEqual([])
    expect(Object.values(vars).filter((value) => value !== '')).toEqual([])
    for (const name of [...Object.keys(vars), ...(secrets?.required ?? []), 'BACKLOG', 'LEDGER'])
      expect(own.cloudflare.bindings[name]?.description.length).toBeGreaterThan(30)
  })

  it('deploys this repository', () => {
    const address = own.repository.url.slice('git+'.length, -'.git'.length)
    expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain(
      `(https://deploy.workers.cloudflare.com/?url=${address})`,
    )
  })

  it.each([
    ['GET', '/admin'],
    ['GET', '/admin/api/status'],
    ['GET', '/metrics'],
    ['GET', '/readyz'],
    ['POST', '/hooks/loan'],
    ['POST', '/v1/updates'],
    ['POST', '/m2/demo/profile/update'],
  ])('without settings leads to a relay whose %s %s says which are missing, and no value', async (method, path) => {
    const { fetch } = relayHandlers<Record<string, string>>({ sources: [], storageOf: () => sqliteStorage(':memory:') })
    const ask = async (env: Record<string, string>) => {
      const answer = await fetch(new Request(`https://relay.example${path}`, { method }), env, { waitUntil: () => {} })
      return [answer.status, await answer.text()] as const
    }
    const empty = Object.fromEntries(asked.map(([, name = '']) => [name, '']))
    const [status, text] = await ask({ ...vars, ...empty })
    expect([status, text]).toEqual([503, expect.stringMatching(/TARGET_CLIENT_CODE[\s\S]*HASH_KEY/)])
    const secret = 'a-value-of-mine'
    expect(await ask({ ...vars, ...empty, HASH_KEY: secret, API_TOKENS: secret, ADMIN_TOKEN: secret })).toEqual([
      503,
      expect.not.stringContaining(secret),
    ])
  })
})
