import { expect, it } from 'vitest'
import * as z from 'zod'
import { bearer } from '../../src/edge/auth/index.ts'
import { source } from '../../src/edge/source/source.ts'
import { createBase } from '../../src/relay/base.ts'
import { readSettings } from '../../src/relay/create.ts'
import { settingsFor } from '../support/settings.ts'

it('those skip what is unchanged that say so: sources in their options, the API by its setting', async () => {
  const map = () => null
  const sources = [
    source('desk', { auth: bearer(), schema: z.object({}), map, skipUnchanged: true }),
    source('shop', { auth: bearer(), schema: z.object({}), map }),
  ]
  const skipping = async (more: Record<string, string>) => {
    const base = await createBase(readSettings(settingsFor('https://target.example', more)), sources)
    return [...base.skipping]
  }
  expect(await skipping({})).toEqual(['desk'])
  expect(await skipping({ API_SKIP_UNCHANGED: '1' })).toEqual(['desk', 'api'])
})
