/** What `wrangler deploy` would deploy, as wrangler itself reads wrangler.toml. */
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { unstable_readConfig } from 'wrangler'
import { parseSettings } from '../../src/relay/settings.ts'

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
