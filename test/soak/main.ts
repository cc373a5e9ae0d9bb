/**
 * `npm run soak [-- --seconds 600] [--ledger upstash|embedded] [--store kv|object|moving] [--seed N]`: the relay on real
 * workerd with real KV, a real object (`moving`: each restart draws which of them keeps what is new) and a real Redis, under load, while relay, Redis and Target's stand-in are killed (`kill -9`) at random moments. Then it is
 * left to recover, and every acknowledged event must be accounted for. Exits with 1 if one is not, if a window was over
 * the quota, or if an older value overwrote a newer one.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { URL } from 'node:url'
import { parseArgs } from 'node:util'
import { calmTarget, killChild, startChild, targetProcess } from '../load/children.ts'
import { type Held, isBroken, judge, leftInBacklog, readHeld, readRecord } from '../load/judge.ts'
import { startLoad } from '../load/senders.ts'
import { seededRandom } from '../support/clock.ts'
import { freePort } from '../support/redis.ts'
import { ringKey } from '../support/seal.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../support/upstash-stand-in.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    ledger: { type: 'string' },
    store: { type: 'string' },
    seed: { type: 'string' },
  },
})
const loadMs = Number(options.seconds) * 1_000
const seed = Number(options.seed ?? Date.now() % 1_000_000)
const senders = 8
const visitors = 60
const windowMs = 10_000
const quotaLimit = 250
/** How long after the last kill everything must have come to rest. */
const recoverMs = 150_000

let broken = false
const ledgers = options.ledger === undefined ? ['upstash', 'embedded'] : [options.ledger]
for (const ledger of ledgers)
  broken = !(await soak(ledger, options.store ?? (ledger === 'upstash' ? 'kv' : 'moving'))) || broken
process.exitCode = broken ? 1 : 0

async function soak(ledger: string, store: string): Promise<boolean> {
  console.log(`soak on the ${ledger} ledger, store ${store}: ${loadMs / 1_000} s of load, seed ${seed}`)
  const random = seededRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-soak-'))
  const record = join(folder, 'record.jsonl')
  const [relayPort, emulatorPort] = [await freePort(), await freePort()]
  let standIn: UpstashStandIn | undefined
  if (ledger === 'upstash') standIn = await startUpstashStandIn({ durableIn: mkdtempSync(join(folder, 'redis-')) })
  const key = ringKey('k')
  const settings = settingsFor(`http://127.0.0.1:${emulatorPort}`, {
    ...(standIn === undefined ? {} : { UPSTASH_REDIS_REST_URL: standIn.url, UPSTASH_REDIS_REST_TOKEN: standIn.token }),
    BACKLOG_KEYS: `k:${Buffer.from(key.bytes).toString('base64')}`,
    QUOTA_LIMIT: String(quotaLimit),
    QUOTA_WINDOW_MS: String(windowMs),
    QUOTA_BUCKET_MS: '100',
    QUOTA_SLACK_MS: '3000',
    TARGET_TIMEOUT_MS: '1000',
    ANSWER_DEADLINE_MS: '800',
    BACKOFF_BASE_MS: '200',
    OUTAGE_SETTLE_MS: '2000',
    LEDGER_TIMEOUT_MS: '800',
    RETENTION_HOURS: '1',
  })
  const workerd = new URL('../support/workerd-process.ts', import.meta.url)
  const startRelay = () => {
    const keepsIn = store === 'moving' ? (random.fraction() < 0.5 ? 'kv' : 'object') : store
    const own = store === 'kv' ? settings : { ...settings, BACKLOG_STORE: keepsIn }
    return startChild(workerd, String(relayPort), folder, JSON.stringify(own))
  }
  const startTarget = () => startChild(targetProcess, String(emulatorPort), record)
  let relay = await startRelay()
  let target = await startTarget()

  const kills = { relayKills: 0, targetKills: 0, redisKills: 0, redisLosses: 0 }
  const origin = `http://127.0.0.1:${relayPort}`
  const startMs = Date.now()
  let loading = true
  const operator = (path: string) =>
    fetch(`${origin}/admin/api${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.adminToken}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(60_000),
    })
      .then((response) => response.json() as Promise<Record<string, unknown>>)
      .catch(() => undefined)

  const load = startLoad({ random, origin: () => origin, senders, visitors, pauseMs: 120 })
  const flushing = (async () => {
    while (loading) {
      await operator('/flush')
      await sleep(1_500)
    }
  })()

  while (Date.now() - startMs < loadMs) {
    await sleep(1_500 + random.fraction() * 4_000)
    const draw = random.fraction()
    if (draw < 0.4) {
      kills.relayKills++
      await killChild(relay)
      await sleep(random.fraction() * 1_000)
      relay = await startRelay()
    } else if (draw < 0.7 || standIn === undefined) {
      kills.targetKills++
      await killChild(target)
      await sleep(random.fraction() * 2_000)
      target = await startTarget()
    } else {
      kills.redisKills++
      const lose = random.fraction() < 0.2
      if (lose) {
        // As if a cache came back empty.
        kills.redisLosses++
        await standIn.command('FLUSHALL')
      }
      await standIn.killRedis()
      await sleep(random.fraction() * 2_000)
      await standIn.startRedisAgain()
    }
  }
  loading = false
  await Promise.all([load.stop(), flushing])
  await calmTarget(target)

  const held = async (): Promise<Held> => {
    const rows = new Promise<[string, unknown][]>((resolve) =>
      relay.once('message', (message) => resolve(message as [string, unknown][])),
    )
    relay.send('')
    return readHeld(await rows, key)
  }
  const giveUpMs = Date.now() + recoverMs
  let last = await held()
  const rests = () => leftInBacklog({ events: load.events, record: readRecord(record), held: [last] }) === 0
  while (!rests() && Date.now() < giveUpMs) {
    await operator('/flush')
    await sleep(1_000)
    last = await held()
  }
  const verdict = judge({ events: load.events, record: readRecord(record), held: [last], windowMs, quotaLimit })
  console.log(JSON.stringify({ ledger, store, seed, ...load.counts, ...kills, ...verdict }))
  await killChild(relay)
  await killChild(target)
  await standIn?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
  return !isBroken(verdict, load.counts.acknowledged)
}
