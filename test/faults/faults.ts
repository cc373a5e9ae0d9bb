/**
 * The faults of the servers and of their Redis, in an order drawn from the seed: all kinds before one that loses state,
 * since nothing is sent for a while after it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/core/clock.ts'
import type { GoneFile, Held } from '../load/judge.ts'
import type { UpstashStandIn } from '../support/upstash-stand-in.ts'
import { type FileFault, fileFaults, takeAway } from './lost-files.ts'
import { type RedisProxy, redisFaults } from './redis-proxy.ts'
import type { Servers } from './servers.ts'
import type { SmallDisk } from './small-disk.ts'
import type { UnitWatch } from './units.ts'

type Dice = Pick<Random, 'fraction'>

export const serverFaults = ['suspended', 'killed', 'disk full', 'file'] as const
export type ServerFault = (typeof serverFaults)[number]

export interface FaultParts {
  readonly servers: Servers
  readonly disk: SmallDisk
  readonly units: Pick<UnitWatch, 'loses'>
  readonly readFile: (file: string) => Promise<Held>
  /** Whether the ledger is in the servers' file, and is lost with it. */
  readonly isLedgerInFile: boolean
  /** The current turn of the load. */
  readonly turn: () => number
  readonly random: Dice
  readonly isOver: () => boolean
}

/** Longer than an attempt is in flight: a process that wakes has older values than others sent meanwhile. */
const longestSuspensionMs = 9_000

export async function troubleServers(
  kinds: readonly ServerFault[],
  parts: FaultParts,
): Promise<{ readonly counts: Readonly<Record<string, number>>; readonly gone: readonly GoneFile[] }> {
  const { servers, disk, units, readFile, isLedgerInFile, turn, random, isOver } = parts
  const counts: Record<string, number> = {}
  const gone: GoneFile[] = []
  const between = betweenOf(random)
  const which = () => Math.floor(random.fraction() * servers.origins().length)
  const count = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1
  }
  const does: Readonly<Record<Exclude<ServerFault, 'file'>, () => Promise<void>>> = {
    suspended: () =>
      servers.suspend(
        random.fraction() < 0.7 ? 1 : servers.origins().length,
        between(300, longestSuspensionMs),
        which(),
      ),
    killed: () => servers.restart([which()], between(0, 1_000)),
    'disk full': async () => {
      const release = disk.fill(servers.pids(), servers.files)
      await sleep(between(500, 3_000))
      // A crash while the disk is full: SQLite recovers from what it could write.
      const again = random.fraction() < 0.4 ? servers.restart([which()], 500) : undefined
      release()
      await again
    },
  }

  for (const kind of rounds(kinds, 'file', random)) {
    await sleep(between(500, 2_000))
    if (isOver()) break
    if (kind === 'file') await loseFile()
    else {
      count(kind)
      await does[kind]()
    }
    // A server that ended by itself is counted where it is restarted, and must not stay down.
    await servers.restart(servers.dead(), 0)
  }
  return { counts, gone }

  async function loseFile(): Promise<void> {
    const fault = fileFaults[Math.floor(random.fraction() * fileFaults.length)] as FileFault
    count(`file ${fault}`)
    const file = servers.files[Math.floor(random.fraction() * servers.files.length)] ?? ''
    const aside = `${file}.aside-${turn()}`
    const found = isLedgerInFile && fault !== 'replaced by a copy' ? units.loses() : () => {}
    let awayOf = 0
    await takeAway(fault, file, servers.pids(file), aside, () => {
      awayOf = turn()
    })
    await sleep(between(500, 2_500))
    // All at once or one after another: SQLite opens no new file while the logs of the removed one exist and are in use.
    const [all, rolling] = [servers.on(file), fault !== 'removed but for its logs' && random.fraction() < 0.5]
    for (const some of rolling ? all.map((at) => [at]) : [all]) await servers.restart(some, 0)
    const held = await readFile(aside)
    if (fault !== 'replaced by a copy') gone.push({ held, of: awayOf })
    found()
  }
}

export interface RedisFaultParts extends Pick<FaultParts, 'units' | 'random' | 'isOver'> {
  readonly proxy: RedisProxy
  readonly main: Pick<UpstashStandIn, 'killRedis' | 'startRedisAgain'>
  readonly other: Pick<UpstashStandIn, 'command'>
}

export async function troubleRedis({
  proxy,
  main,
  other,
  units,
  random,
  isOver,
}: RedisFaultParts): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  const between = betweenOf(random)
  for (const kind of rounds(['killed', ...redisFaults] as const, 'another database', random)) {
    await sleep(between(500, 3_000))
    if (isOver()) break
    counts[`redis ${kind}`] = (counts[`redis ${kind}`] ?? 0) + 1
    if (kind === 'killed') {
      await main.killRedis()
      await sleep(between(0, 2_000))
      await main.startRedisAgain()
      continue
    }
    const found = kind === 'another database' ? units.loses() : () => {}
    if (kind === 'another database') await other.command('FLUSHALL')
    proxy.fault = { kind, share: kind === 'another database' ? 1 : between(0.3, 1) }
    await sleep(between(500, 4_000))
    proxy.fault = undefined
    found()
  }
  return counts
}

const betweenOf = (random: Dice) => (leastMs: number, mostMs: number) =>
  leastMs + random.fraction() * (mostMs - leastMs)

/** Endless rounds, each in another order: all kinds once, from the second round on twice, and then `last`. */
function* rounds<Kind>(kinds: readonly Kind[], last: NoInfer<Kind>, random: Dice): Generator<Kind, never> {
  const others = kinds.filter((kind) => kind !== last)
  for (let times = 1; ; times = 2) {
    for (let time = 0; time < times; time++) yield* inSomeOrder(others, random)
    if (kinds.includes(last)) yield last
  }
}

function inSomeOrder<Kind>(kinds: readonly Kind[], random: Dice): readonly Kind[] {
  const placed = kinds.map((kind) => ({ kind, place: random.fraction() }))
  return placed.sort((one, other) => one.place - other.place).map(({ kind }) => kind)
}
