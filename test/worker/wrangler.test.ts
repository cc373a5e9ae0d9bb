/** What `wrangler deploy` would put where, by wrangler's own reading of wrangler.toml. */
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { unstable_readConfig } from 'wrangler'
import { parseSettings } from '../../src/relay/settings.ts'

const config = fileURLToPath(new URL('../../wrangler.toml', import.meta.url))

describe.each([undefined, 'staging', 'production'])('environment %s', (env) => {
  const read = unstable_readConfig({ config, ...(env === undefined ? {} : { env }) })

  it('sends no real visitor to an account that is not the deployer’s: there is no client code in it', () => {
    const parsed = parseSettings({ ...read.vars, HASH_KEY: 'k'.repeat(32) })
    expect(parsed.ok ? [] : parsed.problems).toEqual([expect.stringContaining('TARGET_CLIENT_CODE is required')])
  })

  it('has an address, and no previews on the same stores', () => {
    expect([read.workers_dev, read.preview_urls]).toEqual([true, false])
  })
})
