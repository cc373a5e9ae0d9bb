/** `target-relay ledger export|import`: a ledger's state on its way into another one, so that no quota is spent twice. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { MovedState } from '../core/ledger/port.ts'
import { upstashLedger } from '../core/ledger/upstash.ts'
import { systemRandom } from '../runtime.ts'
import { openStorage } from '../server.ts'
import { ledgerSettings, parseSettings } from '../settings.ts'
import { type Command, type Exit, exit, type Io, Misuse } from './command.ts'
import { adminClient, Failed } from './relay-client.ts'

const format = { targetRelayLedger: 1 }
/** START, the longest time-out by default, and LATE (PROTOCOL.md): then every call that was under way is settled. */
const settleMs = 10_000

export const ledger: Command = {
  summary: "move a ledger's state: export, import",
  usage: `target-relay ledger export <file> [--relay <url>] [--wait-ms 10000]
target-relay ledger import <file> [--relay <url>]

export pauses the relay (ADMIN_TOKEN), waits until what is under way is settled, and writes quota spent, registers and
event ids to a file, as lines of JSON. It holds no ids or values, but keyed hashes. The relay stays paused.
import takes the file into the ledger that the settings of the environment name: UPSTASH_REDIS_REST_URL and _TOKEN, else
RELAY_DB; or, with --relay, into that relay's own. Import once: units are added to what is spent there.
How to move from one ledger to the other: docs/deploy.md.`,

  async run(io) {
    const { values, positionals } = parseArgs({
      args: [...io.args],
      allowPositionals: true,
      options: { relay: { type: 'string' }, 'wait-ms': { type: 'string', default: String(settleMs) } },
    })
    const [what, file] = positionals
    if (file === undefined || positionals.length > 2) throw new Misuse('name export or import, and a file')
    if (what === 'export') return exportTo(file, io, values.relay, Number(values['wait-ms']))
    if (what === 'import') return importFrom(file, io, values.relay)
    throw new Misuse(`${what} is neither export nor import`)
  },
}

async function exportTo(file: string, { env, err }: Io, relay: string | undefined, waitMs: number): Promise<Exit> {
  const client = adminClient({ env }, relay)
  await client.post('/admin/api/pause')
  await sleep(waitMs)
  // Never over an older export: it would be lost if this one fails.
  const handle = await open(file, 'wx').catch(() => {
    throw new Misuse(`${file} cannot be written: is it there already?`)
  })
  const counts = { units: 0, visitors: 0, events: 0 }
  try {
    await handle.write(`${JSON.stringify({ ...format, exportedAt: new Date().toISOString() })}\n`)
    for (let cursor: string | undefined; ; ) {
      const query = cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`
      const out = (await client.get(`/admin/api/ledger/state${query}`)) as { part: MovedState; cursor?: string }
      await handle.write(`${JSON.stringify(out.part)}\n`)
      counts.units += out.part.units.filter(({ account }) => account === '').reduce((sum, { units }) => sum + units, 0)
      counts.visitors += out.part.visitors.length
      counts.events += out.part.events.length
      cursor = out.cursor
      if (cursor === undefined) break
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  err(`${counts.units} units, ${counts.visitors} visitors, ${counts.events} events; ${client.url} stays paused`)
  return exit.ok
}

async function importFrom(file: string, { env, err }: Io, relay: string | undefined): Promise<Exit> {
  const { take, close, into } = relay === undefined ? ledgerOfEnvironment(env) : ledgerOfRelay(env, relay)
  let parts = 0
  try {
    const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })
    let first = true
    for await (const line of lines) {
      const read = parse(line)
      if (first && read?.['targetRelayLedger'] !== format.targetRelayLedger) throw new Misuse(`${file} is no export of a ledger`)
      if (!first && read !== undefined) {
        await take(read as unknown as MovedState)
        parts++
      }
      first = false
    }
    if (first) throw new Misuse(`${file} is empty`)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw new Misuse(`there is no file ${file}`)
    if (parts === 0) throw error
    throw new Failed(`${parts} parts are taken in, then: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    close()
  }
  err(`${parts} parts taken into ${into}`)
  return exit.ok
}

interface Destination {
  readonly into: string
  take(part: MovedState): Promise<unknown>
  close(): void
}

function ledgerOfRelay(env: Io['env'], relay: string): Destination {
  const client = adminClient({ env }, relay)
  return { into: client.url, take: (part) => client.post('/admin/api/ledger/state', part), close: () => {} }
}

function ledgerOfEnvironment(env: Io['env']): Destination {
  const parsed = parseSettings({ TARGET_CLIENT_CODE: 'none', HASH_KEY: 'of no use here, but it must be there', ...env })
  if (!parsed.ok) throw new Misuse(parsed.problems.join('; '))
  const { settings } = parsed
  if (settings.upstash !== undefined) {
    const store = upstashLedger({
      ...settings.upstash,
      settings: ledgerSettings(settings),
      timeoutMs: 60_000,
      randomHex: systemRandom.hex,
    })
    return { into: 'Upstash', take: (part) => store.moveIn(part), close: () => {} }
  }
  const storage = openStorage(settings, () => {})
  const embedded = storage.embeddedLedger(settings)
  return { into: settings.relayDb, take: (part) => embedded.moveIn(part), close: storage.close }
}

function parse(line: string): Record<string, unknown> | undefined {
  if (line.trim() === '') return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    throw new Misuse('a line is no JSON')
  }
}
