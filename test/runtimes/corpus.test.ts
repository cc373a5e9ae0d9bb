/** The corpus of real requests, sent as bytes over a socket to the relay on each runtime. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { bytesOf, cases, corpusSecrets, requestOf } from '../corpus/corpus.ts'
import { settingsFor } from '../support/settings.ts'
import { sendRaw } from '../support/socket.ts'
import { newFolder, type RunningRelay, runtimes, startRelay } from './relays.ts'

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator({ autoSeed: true })
})
afterAll(() => emulator.close())
beforeEach(() => emulator.reset())

describe.each(runtimes)('%s', (runtime) => {
  let relay: RunningRelay
  beforeAll(async () => {
    const settings = settingsFor(emulator.origin, {
      ...corpusSecrets,
      ANSWER_DEADLINE_MS: '10000',
      LEDGER_TIMEOUT_MS: '10000',
    })
    relay = await startRelay(runtime, newFolder(), settings, 'test/corpus/sources.ts')
  })
  afterAll(() => relay.end('SIGKILL'))

  it.each(cases.map((one) => [one.name, one.expected.what, one] as const))('%s: %s', async (_name, _what, one) => {
    const { status, answer, profiles } = one.expected
    const given = await sendRaw(relay.url, bytesOf(await requestOf(one, Date.now(), new URL(relay.url).host)))
    expect(given?.status, given?.body).toBe(status)
    if (answer === null) expect(given?.body).toBe('')
    else expect(JSON.parse(given?.body ?? '')).toMatchObject(answer)
    for (const [visitor, attributes] of Object.entries(profiles))
      expect(emulator.profiles.values(`3p:${visitor}`)).toMatchObject(attributes)
    expect(new Set(emulator.taken.map(({ visitor }) => visitor))).toEqual(
      new Set(Object.keys(profiles).map((visitor) => `3p:${visitor}`)),
    )
  })
})
