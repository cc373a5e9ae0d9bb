/** What an operator sees of pacing. */
import { expect, it } from 'vitest'
import { readSettings } from '../../src/relay/create.ts'
import { createStatus } from '../../src/relay/status.ts'
import { settingsFor } from '../support/settings.ts'
import { createWorld, worldSettings } from '../support/world.ts'

it.each([
  // A sixth of what is free, and each lane's part of it.
  ['even', { used: 3, allowed: { high: 39, live: 38, replay: 40, bulk: 32 } }],
  ['none', undefined],
] as const)('with PACE=%s the status shows the span that ends now: %o', async (pace, span) => {
  const quota = { quotaLimit: 240, quotaWindowMs: 86_400_000, quotaBucketMs: 60_000 }
  const world = await createWorld({ settings: { ...quota, pace } })
  const { replayReserve, quotaSlackMs } = worldSettings
  const { ledger, backlog, clock } = world
  for (let n = 0; n < 3; n++)
    await world.deliver([await world.update({ visitor: { pcId: `visitor-${n}` }, attributes: { tier: 'gold' } })])
  await world.settled()
  const status = createStatus({
    settings: { ...readSettings(settingsFor('http://127.0.0.1:1')), ...quota, replayReserve, quotaSlackMs, pace },
    ledger,
    backlog,
    clock,
    ready: async () => ({ ready: true, ledger: 'embedded', checks: { store: 'ok' } }),
  })
  expect((await status.status()).quota.span).toEqual(span)
})
