/**
 * `npm run soak [-- --seconds 600] [--ledger upstash|embedded] [--seed N]`: the relay on real workerd with real KV and a
 * real Redis, under load, while relay, Redis and Target's stand-in are killed (`kill -9`) at random moments. Then it is
 * left to recover, and every acknowledged event must be accounted for. Exit 1 where one is not, where a window was over
 * the quota, or where an older value overwrote a newer one.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { unpackDead, unpackEntry } from '../../src/core/backlog/entry-format.ts'
import { createSeal } from '../../src/core/backlog/seal.ts'
import { randomBytes } from '../../src/runtime.ts'
import { seededRandom } from '../support/clock.ts'
import { freePort } from '../support/redis.ts'
import { ringKey } from '../support/seal.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../support/upstash-stand-in.ts'

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, ledger: { type: 'string' }, seed: { type: 'string' } },
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
for (const ledger of options.ledger === undefined ? ['upstash', 'embedded'] : [options.ledger]) broken = !(await soak(ledger)) || broken
process.exitCode = broken ? 1 : 0

async function soak(ledger: string): Promise<boolean> {
  console.log(`soak on the ${ledger} ledger: ${loadMs / 1_000} s of load, seed ${seed}`)
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
  const start = async (file: string, ...parts: string[]): Promise<ChildProcess> => {
    // A group of its own, so that a kill takes workerd along.
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), parts, {
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    await new Promise<void>((resolve, reject) =>
      child.once('message', () => resolve()).once('exit', () => reject(new Error(`${file} ended`))),
    )
    return child
  }
  const startRelay = () => start('../support/workerd-process.ts', String(relayPort), folder, JSON.stringify(settings))
  const startTarget = () => start('emulator-process.ts', String(emulatorPort), record)
  const kill = async (child: ChildProcess) => {
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    await ended
  }
  let relay = await startRelay()
  let target = await startTarget()

  const events = new Map<string, { key: string; rank: number; acknowledged: boolean }>()
  const counts = { sent: 0, acknowledged: 0, retries: 0, relayKills: 0, targetKills: 0, redisKills: 0, redisLosses: 0 }
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

  let serial = 0
  const sending = Array.from({ length: senders }, async () => {
    while (loading) {
      const number = ++serial
      const visitor = `visitor-${Math.floor(visitors * random.fraction() ** 2)}`
      const name = `attribute${number % 3}`
      const value = `value-${number}`
      // In no order, and no two alike: up to a minute old.
      const rank = Date.now() - 1_000 - Math.floor(random.fraction() * 60) * 1_000 + (number % 1_000) / 1_000
      const occurredAt = Math.floor(rank)
      const event = { key: `3p:${visitor} ${name}`, rank: occurredAt, acknowledged: false }
      if ([...events.values()].some((other) => other.key === event.key && other.rank === event.rank)) continue
      events.set(value, event)
      counts.sent++
      for (let tries = 0; tries < 30; tries++) {
        const status = await fetch(`${origin}/v1/updates`, {
          method: 'POST',
          headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
          body: JSON.stringify({ id: value, visitor: { thirdPartyId: visitor }, attributes: { [name]: value }, occurredAt }),
          signal: AbortSignal.timeout(15_000),
        })
          .then(async (response) => {
            await response.arrayBuffer()
            return response.status
          })
          .catch(() => 0)
        if (status === 200 || status === 202) {
          event.acknowledged = true
          counts.acknowledged++
          break
        }
        counts.retries++
        await sleep(300 + random.fraction() * 1_500)
      }
      await sleep(random.fraction() * 120)
    }
  })
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
      counts.relayKills++
      await kill(relay)
      await sleep(random.fraction() * 1_000)
      relay = await startRelay()
    } else if (draw < 0.7 || standIn === undefined) {
      counts.targetKills++
      await kill(target)
      await sleep(random.fraction() * 2_000)
      target = await startTarget()
    } else {
      counts.redisKills++
      const lose = random.fraction() < 0.2
      if (lose) {
        // As a cache that came back empty.
        counts.redisLosses++
        await standIn.command('FLUSHALL')
      }
      await standIn.killRedis()
      await sleep(random.fraction() * 2_000)
      await standIn.startRedisAgain()
    }
  }
  loading = false
  await Promise.all([...sending, flushing])

  const seal = await createSeal([key], randomBytes)
  const held = async (prefix: string): Promise<Map<string, unknown>> => {
    const answer = new Promise<[string, unknown][]>((resolve) =>
      relay.once('message', (message) => resolve(message as [string, unknown][])),
    )
    relay.send(prefix)
    const opened = new Map<string, unknown>()
    for (const [name, stored] of await answer) opened.set(name, await seal.open(stored, name))
    return opened
  }
  const giveUpMs = Date.now() + recoverMs
  let backlog = await held('b1/')
  while (backlog.size > 0 && Date.now() < giveUpMs) {
    await operator('/flush')
    await sleep(1_000)
    backlog = await held('b1/')
  }
  const dead = await held('d1/')

  // The judge: from the record of Target, what senders were told, and what KV holds.
  const kept = new Set<string>()
  for (const packed of backlog.values()) for (const { value } of unpackEntry(packed)?.attributes ?? []) kept.add(value)
  const reasons: Record<string, number> = {}
  for (const packed of dead.values()) {
    const letter = unpackDead(packed)
    reasons[letter?.reason ?? 'unreadable'] = (reasons[letter?.reason ?? 'unreadable'] ?? 0) + 1
    for (const { value } of letter?.entry?.attributes ?? []) kept.add(value)
  }
  const newest = new Map<string, number>()
  const arrivals: number[] = []
  let stale = 0
  for (const line of readFileSync(record, 'utf8').trim().split('\n')) {
    const one = JSON.parse(line) as { arrivedMs?: number; visitor?: string; pairs?: [string, string][] }
    if (one.arrivedMs !== undefined) arrivals.push(one.arrivedMs)
    for (const [name, value] of one.pairs ?? []) {
      const at = `${one.visitor} ${name}`
      const rank = events.get(value)?.rank ?? Number.NaN
      if (rank < (newest.get(at) ?? Number.NEGATIVE_INFINITY)) stale++
      newest.set(at, Math.max(rank, newest.get(at) ?? Number.NEGATIVE_INFINITY))
    }
  }
  let windowsOver = 0
  let most = 0
  for (let first = 0, last = 0; last < arrivals.length; last++) {
    while ((arrivals[first] ?? 0) <= (arrivals[last] ?? 0) - windowMs) first++
    most = Math.max(most, last - first + 1)
    if (last - first + 1 > quotaLimit) windowsOver++
  }
  const lost = [...events].filter(
    ([value, { key: at, rank, acknowledged }]) => acknowledged && !kept.has(value) && (newest.get(at) ?? Number.NEGATIVE_INFINITY) < rank,
  )
  console.log(
    JSON.stringify({
      ledger,
      seed,
      ...counts,
      calls: arrivals.length,
      windowsChecked: arrivals.length,
      mostInWindow: most,
      windowsOver,
      stale,
      lost: lost.length,
      leftInBacklog: backlog.size,
      deadLetters: reasons,
    }),
  )
  await kill(relay)
  await kill(target)
  await standIn?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
  return windowsOver === 0 && stale === 0 && lost.length === 0 && backlog.size === 0 && counts.acknowledged > 0
}
