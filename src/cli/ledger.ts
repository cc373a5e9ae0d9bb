/** `target-relay ledger export|import`: a ledger's state on its way into another one, so that no quota is spent twice. */
import { createReadStream, existsSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
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
/** The last line: without it an export is not whole. */
const end = { end: true }
/** START, the longest time-out that can be set, and LATE (PROTOCOL.md): then every call that was under way is settled. */
const settleMs = 30_000
/** What Upstash takes in one request of its smallest plan. */
const pieceBytes = 900_000
const importTimeoutMs = 60_000
const exportIdBytes = 12

export const ledger: Command = {
  summary: "move a ledger's state: export, import",
  usage: `target-relay ledger export <file> [--relay <url>] [--wait-ms ${settleMs}]
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
    if (!/^\d{1,7}$/.test(values['wait-ms'])) throw new Misuse('--wait-ms is a whole number of milliseconds')
    if (what === 'export') return exportTo(file, io, values.relay, Number(values['wait-ms']))
    if (what === 'import') return importFrom(file, io, values.relay)
    throw new Misuse(`${what} is neither export nor import`)
  },
}

async function exportTo(file: string, { env, err }: Io, relay: string | undefined, waitMs: number): Promise<Exit> {
  // Never over an older export: it would be lost if this one fails.
  if (existsSync(file)) throw new Misuse(`${file} is there already`)
  const client = adminClient({ env }, relay)
  await client.post('/admin/api/pause')
  await sleep(waitMs)
  const unfinished = `${file}.unfinished`
  const handle = await open(unfinished, 'w').catch(() => {
    throw new Misuse(`${unfinished} cannot be written`)
  })
  const counts = noCounts()
  const exportId = systemRandom.hex(exportIdBytes)
  try {
    for (let cursor: string | undefined, number = 0; ; ) {
      const query = cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`
      const out = (await client.get(`/admin/api/ledger/state${query}`)) as { part: MovedState; cursor?: string; hashKey: string }
      if (number === 0) await handle.write(`${JSON.stringify({ ...format, exportedAt: new Date().toISOString(), hashKey: out.hashKey })}\n`)
      for (const piece of pieces(out.part)) await handle.write(`${JSON.stringify({ id: `${exportId}:${number++}`, ...piece })}\n`)
      count(counts, out.part)
      cursor = out.cursor
      if (cursor === undefined) break
    }
    await handle.write(`${JSON.stringify(end)}\n`)
    await handle.sync()
    await handle.close()
    // Under its name only when it is whole.
    await rename(unfinished, file)
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(unfinished, { force: true })
    throw error
  }
  err(`${inWords(counts)}; ${client.url} stays paused`)
  return exit.ok
}

/** A part in pieces that any ledger takes at once. */
function* pieces({ units, visitors, events, ...rest }: MovedState): Generator<MovedState> {
  const none = { units: [], visitors: [], events: [] }
  yield { ...none, ...rest, units }
  for (const kind of ['visitors', 'events'] as const) {
    let rows: unknown[] = []
    let bytes = 0
    for (const row of { visitors, events }[kind]) {
      const size = JSON.stringify(row).length
      if (rows.length > 0 && bytes + size > pieceBytes) {
        yield { ...none, [kind]: rows }
        rows = []
        bytes = 0
      }
      rows.push(row)
      bytes += size
    }
    if (rows.length > 0) yield { ...none, [kind]: rows }
  }
}

async function importFrom(file: string, { env, err }: Io, relay: string | undefined): Promise<Exit> {
  await checkWhole(file)
  const { hashKey, into, take, close } = relay === undefined ? await ledgerOfEnvironment(env) : ledgerOfRelay(env, relay)
  const counts = noCounts()
  let number = 0
  let takenIn = 0
  let written: string | undefined
  try {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
      const read = parse(line, ++number)
      if (number === 1) {
        written = String(read?.['hashKey'])
        if (hashKey !== undefined && hashKey !== written) throw new Misuse('HASH_KEY is not the one under which the export was written')
      } else if (read !== undefined && read['end'] !== true) {
        await take(read as unknown as MovedState, written ?? '')
        count(counts, read as unknown as MovedState)
        takenIn++
      }
    }
  } catch (error) {
    if (takenIn === 0) throw error
    throw new Failed(`${inWords(counts)} are taken in; import it again. ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    close()
  }
  err(`${inWords(counts)} taken into ${into}`)
  return exit.ok
}

/** Before anything is taken in: half a state is worse than none. @throws Misuse */
async function checkWhole(file: string): Promise<void> {
  if (!existsSync(file)) throw new Misuse(`there is no file ${file}`)
  let first: string | undefined
  let last = ''
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    first ??= line
    if (line !== '') last = line
  }
  if (!(first ?? '').startsWith(JSON.stringify(format).slice(0, -1))) throw new Misuse(`${file} is no export of a ledger`)
  if (last !== JSON.stringify(end)) throw new Misuse(`${file} is not whole: export it again`)
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
