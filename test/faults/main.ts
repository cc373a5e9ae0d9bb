/**
 * `npm run faults [-- --seconds 300] [--ledger sqlite|redis] [--seed N] [--beside <ref>]`: two real servers on Node under
 * load, with TLS towards Target's stand-in, while what can happen to processes, disks and Redis happens to them at moments
 * drawn from the seed: they are suspended, killed, their disk is full, their file is taken away, their senders hang up, and
 * between them and Redis requests and answers are delayed, lost, refused or cut. Then all is left to recover, and Target's
 * record is judged (`test/load/judge.ts`). Exits with 1 if a guarantee is broken.
 *
 * The judge only excuses what a fault breaks by its nature:
 * - A file that was taken away held updates that were acknowledged and not sent: `gone` (G2). What was acknowledged by a
 *   try that began afterwards is not excused; but if the ledger is Redis, a repeat of what only that file held is answered
 *   `duplicate` too. `lost-files.ts` says what is not drawn.
 * - Another database answers for a moment: earlier events become dead letters `ledger_lost`; G4 is not judged there.
 * - Units without a call: an admission whose answer was given up, lost or cut, or whose process died, has spent its units,
 *   at most as many as in `tolerated`.
 *
 * `--beside <ref>` runs the second server from that commit, with only kills and hang-ups: two versions at once on one
 * file, and on one Redis.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { calmTarget, killChild, startChild, targetProcess } from '../load/children.ts'
import { type Held, isBroken, judge, leftInBacklog, readHeldFile, readRecord } from '../load/judge.ts'
import { startLoad } from '../load/senders.ts'
import { seededRandom } from '../support/clock.ts'
import { freePort } from '../support/redis.ts'
import { ringKey } from '../support/seal.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'
import { makeCertificate } from './certificate.ts'
import { type ServerFault, serverFaults, troubleRedis, troubleServers } from './faults.ts'
import { startRedisProxy } from './redis-proxy.ts'
import { startServers } from './servers.ts'
import { smallDisk } from './small-disk.ts'
import { watchUnits } from './units.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    ledger: { type: 'string' },
    seed: { type: 'string' },
    beside: { type: 'string' },
  },
})
const loadMs = Number(options.seconds) * 1_000
const seed = Number(options.seed ?? Date.now() % 1_000_000)
const senders = 12
const visitors = 60
const windowMs = 10_000
/** Less than is sent, and within what the settings allow unless Target is on plain http: 1,000,000 in 24 hours. */
const quotaLimit = 50
const ledgerTimeoutMs = 800
/** Units of admissions that nobody could cancel: up to a quota or two at once, and rarely (24 and 102 were seen in ten minutes). */
const tolerated = { units: 90, perMinute: 15 }
/** How long after the last fault everything must have come to rest. */
const recoverMs = 300_000
const ledgers = ['sqlite', 'redis'] as const
type LedgerName = (typeof ledgers)[number]

const root = fileURLToPath(new URL('../..', import.meta.url))
const key = ringKey('k')
const readFile = (file: string): Promise<Held> => readHeldFile(file, key)

const asked = options.ledger === undefined ? ledgers : ledgers.filter((name) => name === options.ledger)
if (asked.length === 0) throw new Error('--ledger is sqlite or redis')
let good = true
for (const ledger of asked) good = (await run(ledger)) && good
process.exitCode = good ? 0 : 1

async function run(ledger: LedgerName): Promise<boolean> {
  console.log(`faults on the ${ledger} ledger: ${loadMs / 1_000} s of load, seed ${seed}${beside()}`)
  await using ending = new AsyncDisposableStack()
  const leave = () => void ending.disposeAsync().finally(() => process.exit(1))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, leave)
    ending.defer(() => void process.off(signal, leave))
  }
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-faults-'))
  ending.defer(() => rmSync(folder, { recursive: true, force: true }))
  const disk = smallDisk(folder)
  ending.defer(() => disk.remove())
  const record = join(folder, 'record.jsonl')
  const { key: tlsKey, certificate } = makeCertificate(folder)
  const targetPort = await freePort()
  const target = await startChild(targetProcess, String(targetPort), record, tlsKey, certificate)
  ending.defer(() => killChild(target))
  const redis = ledger === 'redis' ? await startRedis(folder, ending) : undefined

  const settings = {
    ...settingsFor(`https://localhost:${targetPort}`, {
      ...(redis === undefined
        ? {}
        : { UPSTASH_REDIS_REST_URL: redis.proxy.url, UPSTASH_REDIS_REST_TOKEN: redis.main.token }),
      BACKLOG_KEYS: `k:${Buffer.from(key.bytes).toString('base64')}`,
      QUOTA_LIMIT: String(quotaLimit),
      QUOTA_WINDOW_MS: String(windowMs),
      QUOTA_BUCKET_MS: '100',
      QUOTA_SLACK_MS: '6000',
      TARGET_TIMEOUT_MS: '1000',
      ANSWER_DEADLINE_MS: '800',
      BACKOFF_BASE_MS: '200',
      OUTAGE_SETTLE_MS: '7000',
      LEDGER_TIMEOUT_MS: String(ledgerTimeoutMs),
      RETENTION_HOURS: '1',
      FLUSH_EVERY_MS: '1500',
    }),
    NODE_EXTRA_CA_CERTS: certificate,
  }
  // Like two machines with one Redis, each has its own backlog; with the embedded ledger they share the file.
  const files = [
    join(disk.folder, 'one.sqlite'),
    join(disk.folder, redis === undefined ? 'one.sqlite' : 'two.sqlite'),
  ] as const
  const other = options.beside === undefined ? {} : { from: treeOf(options.beside, folder) }
  const servers = await startServers([
    { file: files[0], settings },
    { file: files[1], settings, ...other },
  ])
  ending.defer(() => servers.end())

  const random = seededRandom(seed)
  const origin = () => {
    const origins = servers.origins()
    return origins[Math.floor(random.fraction() * origins.length)] ?? ''
  }
  const load = startLoad({
    random,
    origin,
    senders,
    visitors,
    pauseMs: 600,
    oldestMs: 10_000,
    patienceMs: 2_500,
    hangUps: 0.15,
    repeats: 0.3,
  })
  const units = watchUnits(servers.origins, windowMs)
  const endMs = Date.now() + loadMs
  const isOver = () => Date.now() >= endMs
  const kinds: readonly ServerFault[] =
    options.beside === undefined
      ? serverFaults.filter((kind) => kind !== 'disk full' || disk.how !== 'none')
      : ['killed']
  const parts = { servers, disk, units, turn: load.turn, isOver, isLedgerInFile: redis === undefined }
  const [{ counts, gone }, redisCounts] = await Promise.all([
    troubleServers(kinds, { ...parts, random: seededRandom(seed + 1), readFile }),
    redis === undefined || options.beside !== undefined
      ? {}
      : troubleRedis({ ...redis, ...parts, random: seededRandom(seed + 2) }),
  ])
  while (!isOver()) await sleep(100)
  await load.stop()
  await calmTarget(target)
  const held = await atRest(
    servers.files,
    (held) => leftInBacklog({ events: load.events, record: readRecord(record), held, gone }) === 0,
  )
  await units.stop()
  await servers.end()

  const evidence = { events: load.events, record: readRecord(record), held, gone, windowMs, quotaLimit }
  const verdict = judge(evidence)
  const unitsWithoutCall = units.withoutCall(evidence.record.arrivals)
  const otherDatabases = redis?.proxy.struck['another database'] ?? 0
  const endedThemselves = servers.endedThemselves()
  console.log(
    JSON.stringify({
      ...{ ledger, seed, ...load.counts, diskFullBy: disk.how, faults: { ...counts, ...redisCounts } },
      ...(redis === undefined ? {} : { redisStruck: redis.proxy.struck }),
      ...{ troubles: servers.troubles(), ...verdict, unitsWithoutCall, endedThemselves },
    }),
  )
  const judged = otherDatabases === 0 ? verdict : { ...verdict, sentAgain: 0 }
  const unitsAllowed = tolerated.units + tolerated.perMinute * (loadMs / 60_000)
  return !isBroken(judged, load.counts.acknowledged) && endedThemselves === 0 && unitsWithoutCall <= unitsAllowed
}

async function startRedis(folder: string, ending: AsyncDisposableStack) {
  const start = async (name: string) => {
    const durableIn = join(folder, name)
    mkdirSync(durableIn)
    return ending.use(await startUpstashStandIn({ durableIn }))
  }
  const [main, other] = [await start('redis-main'), await start('redis-other')]
  const proxy = ending.use(
    await startRedisProxy({ main, other, random: seededRandom(seed + 3), lateMs: 2.5 * ledgerTimeoutMs }),
  )
  return { main, other, proxy }
}

/** What the files hold once nothing waits any longer, or after the time limit. */
async function atRest(files: readonly string[], rests: (held: readonly Held[]) => boolean): Promise<readonly Held[]> {
  const giveUpMs = Date.now() + recoverMs
  for (;;) {
    const held = await Promise.all(files.map(readFile))
    if (rests(held) || Date.now() > giveUpMs) return held
    await sleep(1_000)
  }
}

/** The source tree of a commit, with the installed packages of this one. */
function treeOf(ref: string, folder: string): string {
  const tree = join(folder, 'beside')
  mkdirSync(tree)
  const archive = execFileSync('git', ['archive', ref], { cwd: root, maxBuffer: 1_000_000_000 })
  execFileSync('tar', ['-x', '-C', tree], { input: archive })
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  return tree
}

function beside(): string {
  return options.beside === undefined ? '' : `, beside ${options.beside}`
}
