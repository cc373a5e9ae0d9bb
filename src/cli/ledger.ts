/** `target-relay ledger export|import`: a ledger's state on its way into another one, so that no quota is spent twice. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createHasher, hashKeyName } from '../core/hash.ts'
import { type MovedState, wholeAccount } from '../core/ledger/port.ts'
import { upstashLedger } from '../core/ledger/upstash.ts'
import { systemRandom } from '../runtime.ts'
import { openStorage } from '../server.ts'
import { ledgerSettings, parseSettings } from '../settings.ts'
import { type Command, type Exit, exit, type Io, Misuse } from './command.ts'
import { adminClient, Failed } from './relay-client.ts'

const format = { targetRelayLedger: 1 }
/** START, the longest time-out by default, and LATE (PROTOCOL.md): then every call that was under way is settled. */
const settleMs = 10_000
const importTimeoutMs = 60_000
const exportIdBytes = 12

export const ledger: Command = {
  summary: "move a ledger's state: export, import",
  usage: `target-relay ledger export <file> [--relay <url>] [--wait-ms 10000]
target-relay ledger import <file> [--relay <url>]

export pauses the relay (ADMIN_TOKEN), waits until what is under way is settled, and writes quota spent, registers and
event ids to a file, as lines of JSON. It holds no ids or values, but keyed hashes. The relay stays paused.
import takes the file into the ledger that the settings of the environment name: UPSTASH_REDIS_REST_URL and _TOKEN, else
RELAY_DB; or, with --relay, into that relay's own. HASH_KEY must be the one under which it was written. An export adds to
what is spent there once, however often it is imported. How to move from one ledger to the other: docs/deploy.md.`,

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
  const counts = noCounts()
  const exportId = systemRandom.hex(exportIdBytes)
  try {
    for (let cursor: string | undefined, number = 0; ; number++) {
      const query = cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`
      const out = (await client.get(`/admin/api/ledger/state${query}`)) as { part: MovedState; cursor?: string; hashKey: string }
      if (number === 0) await handle.write(`${JSON.stringify({ ...format, exportedAt: new Date().toISOString(), hashKey: out.hashKey })}\n`)
      await handle.write(`${JSON.stringify({ id: `${exportId}:${number}`, ...out.part })}\n`)
      count(counts, out.part)
      cursor = out.cursor
      if (cursor === undefined) break
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  err(`${inWords(counts)}; ${client.url} stays paused`)
  return exit.ok
}

async function importFrom(file: string, { env, err }: Io, relay: string | undefined): Promise<Exit> {
  const { hashKey, into, take, close } = relay === undefined ? await ledgerOfEnvironment(env) : ledgerOfRelay(env, relay)
  const counts = noCounts()
  let number = 0
  let takenIn = 0
  let written: string | undefined
  try {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
      const read = parse(line, ++number)
      if (number === 1) {
        if (read?.['targetRelayLedger'] !== format.targetRelayLedger) throw new Misuse(`${file} is no export of a ledger`)
        written = String(read['hashKey'])
        if (hashKey !== undefined && hashKey !== written) throw new Misuse('HASH_KEY is not the one under which the export was written')
      } else if (read !== undefined) {
        await take(read as unknown as MovedState, written ?? '')
        count(counts, read as unknown as MovedState)
        takenIn++
      }
    }
    if (number === 0) throw new Misuse(`${file} is empty`)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw new Misuse(`there is no file ${file}`)
    if (takenIn === 0) throw error
    throw new Failed(`${inWords(counts)} are taken in; import it again. ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    close()
  }
  err(`${inWords(counts)} taken into ${into}`)
  return exit.ok
}

interface Destination {
  readonly into: string
  /** Names the HASH_KEY there, where this process knows it. */
  readonly hashKey?: string
  take(part: MovedState, hashKey: string): Promise<unknown>
  close(): void
}

function ledgerOfRelay(env: Io['env'], relay: string): Destination {
  const client = adminClient({ env }, relay)
  return { into: client.url, take: (part, hashKey) => client.post('/admin/api/ledger/state', { ...part, hashKey }), close: () => {} }
}

async function ledgerOfEnvironment(env: Io['env']): Promise<Destination> {
  const parsed = parseSettings({ TARGET_CLIENT_CODE: 'none', ...env })
  if (!parsed.ok) throw new Misuse(parsed.problems.join('; '))
  const { settings } = parsed
  const hashKey = await hashKeyName(await createHasher(settings.hashKey))
  if (settings.upstash !== undefined) {
    const store = upstashLedger({
      ...settings.upstash,
      settings: ledgerSettings(settings),
      timeoutMs: importTimeoutMs,
      randomHex: systemRandom.hex,
    })
    return { into: 'Upstash', hashKey, take: (part) => store.moveIn(part), close: () => {} }
  }
  const storage = openStorage(settings, () => {})
  const embedded = storage.embeddedLedger(settings)
  return { into: settings.relayDb, hashKey, take: (part) => embedded.moveIn(part), close: storage.close }
}

interface Counts {
  units: number
  visitors: number
  events: number
}

const noCounts = (): Counts => ({ units: 0, visitors: 0, events: 0 })

function count(counts: Counts, { units, visitors, events }: MovedState): void {
  counts.units += units.filter(({ account }) => account === wholeAccount).reduce((sum, one) => sum + one.units, 0)
  counts.visitors += visitors.length
  counts.events += events.length
}

function inWords({ units, visitors, events }: Counts): string {
  return `${units} units, ${visitors} visitors, ${events} events`
}

function parse(line: string, number: number): Record<string, unknown> | undefined {
  if (line.trim() === '') return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    throw new Misuse(`line ${number} is no JSON`)
  }
}
