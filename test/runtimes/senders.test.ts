/** The senders' requests, as bytes over a socket to the relay on each runtime, with the sources of docs/senders.md. */
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { bytesOf } from '../corpus/corpus.ts'
import { vendorKeys } from '../senders/keys.ts'
import { requestOf, requests, secretSettings } from '../senders/requests.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { sendRaw } from '../support/socket.ts'
import { newFolder, type RunningRelay, runtimes, startRelay } from './relays.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bundle = join(newFolder(), 'sources.mjs')
let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator({ autoSeed: true })
  // The examples import the package by its name, which needs no build of it so.
  await build({
    entryPoints: [`${root}test/senders/sources.ts`],
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: bundle,
  })
})
afterAll(() => emulator.close())
beforeEach(() => emulator.reset())

describe.each(runtimes)('%s', (runtime) => {
  let relay: RunningRelay
  beforeAll(async () => {
    const settings = settingsFor(emulator.origin, {
      ...secretSettings,
      TEST_SENDER_KEYS: JSON.stringify(vendorKeys),
      ANSWER_DEADLINE_MS: '10000',
      LEDGER_TIMEOUT_MS: '10000',
    })
    const sources = runtime === 'workerd' ? 'test/senders/sources.ts' : bundle
    relay = await startRelay(runtime, newFolder(), settings, sources)
  })
  afterAll(() => relay.end('SIGKILL'))

  it.each(requests.map((one) => [one.name, one.expected.what, one] as const))('%s: %s', async (_name, _what, one) => {
    const { status, answer, headers = {}, profiles = {} } = one.expected
    const given = await sendRaw(relay.url, bytesOf(await requestOf(one, Date.now(), new URL(relay.url).host)))
    expect(given?.status, given?.body).toBe(status)
    if (typeof answer === 'string') expect(given?.body).toBe(answer)
    else expect(JSON.parse(given?.body ?? '')).toMatchObject(answer)
    for (const [name, value] of Object.entries(headers)) expect(given?.headers.get(name) ?? null, name).toBe(value)
    for (const [visitor, attributes] of Object.entries(profiles))
      expect(emulator.profiles.values(`3p:${visitor}`)).toEqual(attributes)
    expect(new Set(emulator.taken.map(({ visitor }) => visitor))).toEqual(
      new Set(Object.keys(profiles).map((visitor) => `3p:${visitor}`)),
    )
  })

  it('what could not be mapped is kept, and what a person must confirm', async () => {
    const response = await fetch(`${relay.url}/admin/api/dead?limit=100`, {
      headers: { authorization: `Bearer ${testSecrets.adminToken}` },
    })
    const { letters } = (await response.json()) as { letters: { reason: string; detail: string }[] }
    const expected = requests.flatMap(({ expected: { dead = [] } }) => dead)
    expect(letters).toHaveLength(expected.length)
    for (const [reason, detail] of expected)
      expect(letters).toContainEqual(expect.objectContaining({ reason, detail: expect.stringContaining(detail) }))
  })
})
