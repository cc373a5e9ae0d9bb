/**
 * `target-relay ledger export|import|restored`: a ledger's state on its way into another one, so that no quota is spent
 * twice, and the word that it was put back to an earlier moment.
 */
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import * as z from 'zod'
import type { MovedState } from '../core/ledger/moved.ts'
import { movedStateReader } from '../core/ledger/moved-state.ts'
import type { LedgerStore } from '../core/ledger/port.ts'
import { upstashLedger } from '../core/ledger/redis/ledger.ts'
import { foreignBy, ownerMemo, ownerOf } from '../core/operator/owner.ts'
import { createHasher, type Hasher, hashKeyName } from '../core/update/hash.ts'
import { openLedger } from '../relay/create.ts'
import { systemRandom } from '../relay/runtime.ts'
import { ledgerSettings, parseSettings, type Settings } from '../relay/settings.ts'
import { openStorage } from '../server/index.ts'
import { type Command, type Exit, exit, type Io } from './command.ts'
import { Failed, isFromOutside, Misuse, reasonOf, toldAs } from './errors.ts'
import { wantFile } from './files.ts'
import { type Counts, count, noCounts, readLedgerFile, writeLedgerFile } from './ledger-file.ts'
import { adminClient, type RelayClient } from './relay-client.ts'

/**
 * START, the longest time-out that can be set, and LATE (docs/rules.md, "In flight"): then every call that was under
 * way is settled.
 */
const settleMs = 30_000
const importTimeoutMs = 60_000
const exportIdBytes = 12
const statePath = '/admin/api/ledger/state'
const stateShape = z.object({ part: z.unknown(), cursor: z.string().optional(), hashKey: z.string() })

export const ledger: Command = {
  summary: "move a ledger's state: export, import; say that it was restored",
  usage: `target-relay ledger export <file> [--relay <url>] [--wait-ms ${settleMs}]
target-relay ledger import <file> [--relay <url>]
target-relay ledger restored [--relay <url>]

export pauses the relay (ADMIN_TOKEN), waits until what is under way is settled, and writes quota spent, registers and
event ids to a file, as lines of JSON. It holds no ids or values, but keyed hashes. The relay stays paused.
import takes the file into the ledger that the settings of the environment name: UPSTASH_REDIS_REST_URL and _TOKEN, else
RELAY_DB; or, with --relay, into that relay's own. HASH_KEY must be the one under which it was written. An export adds to
what is spent there once, however often it is imported. A file that was cut, changed, or joined with another is refused
before anything of it is taken in. restored says, before the relay is started again, that this ledger (named as for import) was
put back to an earlier moment: its whole quota counts as spent for one window, or until you state what was spent, and what
is older than now ends in the dead letters. How to move from one ledger to the other: docs/deploy.md.`,

  async run(io) {
    const { values, positionals } = parseArgs({
      args: [...io.args],
      allowPositionals: true,
      options: { relay: { type: 'string' }, 'wait-ms': { type: 'string', default: String(settleMs) } },
    })
    const [what, file] = positionals
    if (what === 'restored' && positionals.length === 1) return restored(io, values.relay)
    if (file === undefined || positionals.length > 2) throw new Misuse('name export or import and a file, or restored')
    if (!/^\d{1,7}$/.test(values['wait-ms'])) throw new Misuse('--wait-ms is a whole number of milliseconds')
    if (what === 'export') return exportTo(file, io, values.relay, Number(values['wait-ms']))
    if (what === 'import') return importFrom(file, io, values.relay)
    throw new Misuse(`${what} is none of export, import and restored`)
  },
}

async function exportTo(file: string, { env, err }: Io, relay: string | undefined, waitMs: number): Promise<Exit> {
  // Never over an older export: it would be lost if this one fails.
  if (existsSync(file)) throw new Misuse(`${file} is there already`)
  const client = adminClient({ env }, relay)
  const exportId = systemRandom.hex(exportIdBytes)
  // Under its name only when it is whole; a name of its own, so that what another export left is not in the way.
  const unfinished = `${file}.${exportId}.unfinished`
  const writer = await writeLedgerFile(unfinished, exportId)
  const counts = noCounts()
  let paused = false
  try {
    await client.post('/admin/api/pause')
    paused = true
    await sleep(waitMs)
    for await (const { part, hashKey, first } of partsOf(client)) {
      if (first) await writer.head(hashKey)
      await writer.part(part)
      count(counts, part)
    }
    await writer.end()
    await writer.close()
    await rename(unfinished, file)
  } catch (error) {
    await writer.close()
    await rm(unfinished, { force: true })
    if (!paused || !(error instanceof Failed || isFromOutside(error))) throw error
    throw new Failed(
      `${reasonOf(error)}; ${client.url} stays paused: export again, or resume it (POST /admin/api/resume)`,
    )
  }
  err(`${inWords(counts)}; ${client.url} stays paused`)
  return exit.ok
}

/** @throws Failed where a part is none: what could not be imported again is no export */
async function* partsOf(client: RelayClient): AsyncGenerator<{ part: MovedState; hashKey: string; first: boolean }> {
  const read = movedStateReader(Date.now())
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const query = cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`
    const out = await client.get(`${statePath}${query}`, stateShape)
    const checked = read(out.part)
    if (!checked.ok) throw new Failed(`${client.url} gave a part that is none of a ledger (${checked.problem})`)
    yield { part: checked.state, hashKey: out.hashKey, first }
    cursor = out.cursor
  }
}

async function importFrom(file: string, { env, err }: Io, relay: string | undefined): Promise<Exit> {
  await wantFile(file)
  const nowMs = Date.now()
  // Read to its end before anything is taken in: half a state is worse than none.
  let written = ''
  for await (const { hashKey } of readLedgerFile(file, nowMs)) written = hashKey
  const destination = relay === undefined ? await ledgerOfEnvironment(env) : ledgerOfRelay(env, relay)
  const counts = noCounts()
  let takenIn = 0
  try {
    await destination.wantOwn?.(written)
    let identity: Pick<MovedState, 'life' | 'lostMs'> = {}
    for await (const { part, hashKey } of readLedgerFile(file, nowMs)) {
      const { life, ...rest } = part
      await destination.take(rest, hashKey)
      if (life !== undefined) identity = { life, ...(part.lostMs === undefined ? {} : { lostMs: part.lostMs }) }
      count(counts, part)
      takenIn++
    }
    // Last: a ledger that has half of it is not yet the one that was exported.
    if (identity.life !== undefined)
      await destination.take({ units: [], visitors: [], events: [], ...identity }, written)
  } catch (error) {
    if (error instanceof Misuse && takenIn === 0) throw error
    const done = takenIn === 0 ? 'nothing is known to be taken in' : `${inWords(counts)} are taken in`
    throw new Failed(`${done}; import it again, which counts nothing twice. ${reasonOf(error)}`)
  } finally {
    destination.close()
  }
  err(`${inWords(counts)} taken into ${destination.into}`)
  return exit.ok
}

async function restored({ env, err }: Io, relay: string | undefined): Promise<Exit> {
  const into = relay === undefined ? await restoredOfEnvironment(env) : await restoredOfRelay(env, relay)
  err(
    `${into}: the whole quota counts as spent for a window, or until you state what was spent (POST /admin/api/quota/spent)`,
  )
  return exit.ok
}

async function restoredOfRelay(env: Io['env'], relay: string): Promise<string> {
  const client = adminClient({ env }, relay)
  await client.post('/admin/api/ledger/restored')
  return client.url
}

async function restoredOfEnvironment(env: Io['env']): Promise<string> {
  const settings = settingsOf(env)
  const storage = open(settings)
  try {
    const ledger = openLedger({ settings, storage, log: () => {} })
    await wantOwnLedger(settings, await createHasher(settings.hashKey), ledger)
    await ledger.restored()
  } finally {
    storage.close()
  }
  return settings.upstash === undefined ? settings.relayDb : 'Upstash'
}

function settingsOf(env: Io['env']): Settings {
  const parsed = parseSettings({ TARGET_CLIENT_CODE: 'none', ...env })
  if (!parsed.ok) throw new Misuse(parsed.problems.join('; '))
  return parsed.settings
}

interface Destination {
  readonly into: string
  /**
   * Where this process knows whose it is: a relay judges by itself.
   * @param written names the HASH_KEY of the export
   * @throws Misuse where export or ledger are not of the account that the environment names
   */
  wantOwn?(written: string): Promise<void>
  take(part: MovedState, hashKey: string): Promise<unknown>
  close(): void
}

function ledgerOfRelay(env: Io['env'], relay: string): Destination {
  const client = adminClient({ env }, relay)
  return { into: client.url, take: (part, hashKey) => client.post(statePath, { ...part, hashKey }), close: () => {} }
}

async function ledgerOfEnvironment(env: Io['env']): Promise<Destination> {
  const settings = settingsOf(env)
  const hasher = await createHasher(settings.hashKey)
  const wantOwn = async (written: string, store: Pick<LedgerStore, 'recall'>): Promise<void> => {
    if (written !== (await hashKeyName(hasher)))
      throw new Misuse('HASH_KEY is not the one under which the export was written')
    await wantOwnLedger(settings, hasher, store)
  }
  if (settings.upstash !== undefined) {
    const store = upstashLedger({
      ...settings.upstash,
      settings: ledgerSettings(settings),
      timeoutMs: importTimeoutMs,
    })
    return {
      into: 'Upstash',
      wantOwn: (written) => wantOwn(written, store),
      take: (part) => store.moveIn(part),
      close: () => {},
    }
  }
  const storage = open(settings)
  const embedded = storage.embeddedLedger(settings)
  return {
    into: settings.relayDb,
    wantOwn: (written) => wantOwn(written, embedded),
    take: (part) => embedded.moveIn(part),
    close: storage.close,
  }
}

/** @throws Misuse where the ledger is another account's; one that no relay has opened yet is nobody's */
async function wantOwnLedger(settings: Settings, hasher: Hasher, store: Pick<LedgerStore, 'recall'>): Promise<void> {
  const { memo } = await ownerOf(settings, hasher)
  const foreign = foreignBy((await store.recall(ownerMemo)) ?? memo, memo)
  if (foreign !== undefined) throw new Misuse(foreign.message)
}

function open(settings: Settings) {
  try {
    return openStorage(settings, () => {})
  } catch (error) {
    throw toldAs(error)
  }
}

function inWords({ units, visitors, events }: Counts): string {
  return `${units} units, ${visitors} visitors, ${events} events`
}
