/** The spans of a relay on real workerd, as a streaming tail Worker is told of them: all of them, and nothing in them (G8). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startWorkerdRelay } from '../support/workerd.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tail = `export default {
  tailStream() { return { spanOpen: tell, spanClose: tell, attributes: tell } },
  fetch() { return new Response() },
}
const plain = (_, value) => (typeof value === 'bigint' ? Number(value) : value)
function tell({ event }) { console.log(JSON.stringify({ span: event }, plain)) }`

interface SpanEvent {
  readonly type: string
  readonly name?: string
  readonly info?: unknown
}

/** The relay's own wrangler.toml with somebody who listens, in a folder of its own. */
function configs() {
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-spans-'))
  const own = readFileSync(join(root, 'wrangler.toml'), 'utf8')
    .replaceAll('"src/worker.ts"', JSON.stringify(join(root, 'src/worker.ts')))
    .replaceAll('"./src/', JSON.stringify(join(root, 'src/')).slice(0, -1))
    .replace('main = ', 'streaming_tail_consumers = [{ service = "tail" }]\nmain = ')
  const date = /^compatibility_date = .*$/m.exec(own)?.[0]
  writeFileSync(join(folder, 'relay.toml'), own)
  writeFileSync(join(folder, 'tail.js'), tail)
  writeFileSync(
    join(folder, 'tail.toml'),
    `name = "tail"\nmain = "tail.js"\n${date}\ncompatibility_flags = ["streaming_tail_worker"]\n`,
  )
  return {
    paths: [join(folder, 'relay.toml'), join(folder, 'tail.toml')] as const,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

it('in workerd: admit, call and settle of an update, put of one that is deferred, bury of one that is rejected', async () => {
  using config = configs()
  await using emulator = await startEmulator({ autoSeed: true })
  await using relay = await startWorkerdRelay(settingsFor(emulator.origin), config.paths)
  const send = (thirdPartyId: string) =>
    fetch(`${relay.url}/v1/updates`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ visitor: { thirdPartyId }, attributes: { tier: 'gold-of-spans' } }),
    }).then((answer) => answer.json())
  const post = (path: string) =>
    fetch(`${relay.url}/admin/api${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.adminToken}`, 'content-type': 'application/json' },
    }).then((answer) => answer.arrayBuffer())
  expect(await send('visitor-of-spans-1')).toMatchObject({ status: 'submitted' })
  emulator.faults.add({ kind: 'refuse', message: 'no', count: 1 })
  expect(await send('visitor-of-spans-2')).toMatchObject({ status: 'rejected' })
  await post('/pause')
  expect(await send('visitor-of-spans-3')).toMatchObject({ status: 'deferred' })

  const events = () => relay.logs().flatMap(({ span }) => (span === undefined ? [] : [span as SpanEvent]))
  const names = () => new Set(events().flatMap(({ type, name }) => (type === 'spanOpen' ? [name] : [])))
  await expect
    .poll(() => [...names()], { timeout: 20_000 })
    .toEqual(expect.arrayContaining(['admit', 'call', 'settle', 'put', 'bury']))
  const opened = events().filter(({ name = '' }) => ['admit', 'call', 'settle', 'put', 'bury'].includes(name))
  // Nothing but a name; the platform's own spans have addresses and keys.
  for (const span of opened) expect(Object.keys(span).sort()).toEqual(['name', 'spanId', 'type'])
  expect(JSON.stringify(events())).not.toContain('of-spans')
}, 120_000)
