/** Servers and batch runners of several runtimes on one file, and on one Redis: judged by Target's own record (G1 to G4). */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'
import { newFolder, operate, post, type RunningRelay, runCommand, type ServerRuntime, startRelay } from './relays.ts'

const windowMs = 4_000
const quotaLimit = 150
const quick = {
  QUOTA_LIMIT: String(quotaLimit),
  QUOTA_WINDOW_MS: String(windowMs),
  QUOTA_BUCKET_MS: '40',
  QUOTA_SLACK_MS: '1000',
  LEDGER_TIMEOUT_MS: '10000',
  ANSWER_DEADLINE_MS: '10000',
  BACKOFF_BASE_MS: '1',
  OUTAGE_SETTLE_MS: '0',
}
const [senders, each, visitors] = [24, 25, 90]

interface Place {
  /** Two servers, and the runtimes that flush. */
  readonly servers: readonly RunningRelay[]
  readonly flushes: readonly (() => Promise<{ status: number | null; out: string; err: string }>)[]
  close(): Promise<void>
}

async function onOneFile(targetOrigin: string): Promise<Place> {
  const folder = newFolder()
  const settings = settingsFor(targetOrigin, quick)
  const servers = await Promise.all([startRelay('node', folder, settings), startRelay('bun', folder, settings)])
  return {
    servers,
    flushes: (['node', 'deno'] satisfies ServerRuntime[]).map(
      (runtime) => () => runCommand(runtime, ['flush'], folder, settings),
    ),
    close: async () => {},
  }
}

/** Each server has a backlog of its own, as on two machines. */
async function onOneRedis(targetOrigin: string): Promise<Place> {
  const upstash = await startUpstashStandIn()
  const folders = [newFolder(), newFolder()] as const
  const settings = settingsFor(targetOrigin, {
    ...quick,
    UPSTASH_REDIS_REST_URL: upstash.url,
    UPSTASH_REDIS_REST_TOKEN: upstash.token,
  })
  const servers = await Promise.all([
    startRelay('node', folders[0], settings),
    startRelay('deno', folders[1], settings),
  ])
  return {
    servers,
    flushes: [
      () => runCommand('bun', ['flush'], folders[0], settings),
      () => runCommand('node', ['flush'], folders[1], settings),
    ],
    close: async () => {
      await upstash[Symbol.asyncDispose]()
    },
  }
}

describe.each([
  ['one SQLite file', onOneFile],
  ['one Redis', onOneRedis],
] as const)('two servers and two flush commands at once on %s', (_, open) => {
  it('never exceed the quota, lose nothing, let the newest win, and send each value once', {
    timeout: 180_000,
  }, async () => {
    await using emulator = await startEmulator({ autoSeed: true, windowMs })
    const { servers, flushes, close } = await open(emulator.origin)
    try {
      const newest = new Map<string, { rank: number; value: string }>()
      const statuses: Record<string, number> = {}
      let sending = true
      const reports: string[] = []
      const flushing = flushes.map(async (flush) => {
        while (sending) {
          const { status, out, err } = await flush()
          reports.push(out)
          expect([status, err], 'a flush succeeded').toEqual([0, expect.any(String)])
        }
      })
      const startMs = Date.now() - 60_000
      await Promise.all(
        Array.from({ length: senders }, async (_, sender) => {
          for (let n = 0; n < each; n++) {
            // Shuffled without repeating one: 277 and the count share no factor.
            const rank = ((sender * each + n) * 277) % (senders * each)
            const [visitor, name, value] = [`visitor-${rank % visitors}`, `attribute${rank % 2}`, `value-${rank}`]
            const event = {
              id: `event-${rank}`,
              visitor: { thirdPartyId: visitor },
              attributes: { [name]: value },
              occurredAt: startMs + rank,
            }
            const { status, answer } = await post(servers[n % 2] as RunningRelay, event)
            expect([200, 202]).toContain(status)
            statuses[String(answer['status'])] = (statuses[String(answer['status'])] ?? 0) + 1
            // Senders repeat their events, also at the other server.
            if (rank % 10 === 0)
              expect([200, 202, 409]).toContain((await post(servers[(n + 1) % 2] as RunningRelay, event)).status)
            const key = `${visitor} ${name}`
            if (rank > (newest.get(key)?.rank ?? -1)) newest.set(key, { rank, value })
          }
        }),
      )
      sending = false
      await Promise.all(flushing)
      const giveUpAtMs = Date.now() + 90_000
      for (;;) {
        // One after the other: on one Redis they share the lease, so that of two at once one is always turned away.
        const ends = []
        for (const server of servers) ends.push(await operate(server, '/flush'))
        if (ends.every(({ stopped, deferredAgain }) => stopped === 'drained' && deferredAgain === 0)) break
        if (Date.now() > giveUpAtMs) throw new Error(`the backlog does not drain: ${JSON.stringify(ends)}`)
        await sleep(200)
      }

      const { maxInWindow, malformed } = emulator.statistics()
      expect(maxInWindow).toBeLessThanOrEqual(quotaLimit)
      expect(malformed).toBe(0)
      expect(statuses['submitted']).toBeGreaterThan(50)
      expect(statuses['deferred']).toBeGreaterThan(0)
      const wrong = [...newest].filter(([key, { value }]) => {
        const [visitor, name = ''] = key.split(' ')
        return emulator.profiles.values(`3p:${visitor}`)?.[name] !== value
      })
      expect(wrong).toEqual([])
      const sent = emulator.taken.flatMap(({ pairs }) => [...pairs.values()])
      expect(sent.length, 'no value was sent twice, though nothing failed').toBe(new Set(sent).size)
      const ranks = new Map<string, number>()
      for (const { visitor, pairs } of emulator.taken)
        for (const [name, value] of pairs) {
          const rank = Number(value.slice('value-'.length))
          expect(rank, 'no older value was sent after a newer one').toBeGreaterThan(
            ranks.get(`${visitor} ${name}`) ?? -1,
          )
          ranks.set(`${visitor} ${name}`, rank)
        }
      expect(reports.some((report) => (JSON.parse(report) as { replayed: number }).replayed > 0)).toBe(true)
      expect(reports.length).toBeGreaterThan(4)
    } finally {
      await Promise.all(servers.map((server) => server.end('SIGKILL')))
      await close()
    }
  })
})
