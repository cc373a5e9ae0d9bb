/**
 * What operators see and do, with the command alone, against relays as processes: every figure is compared with what a
 * plain oracle counted, and at the end everything has arrived, the newest value won, and nothing is left behind (G9).
 *
 * `OPERATORS_SCALE=1` is 10,000 updates over the quota, 200 rejected, 300 unmappable, 50 expired; the default is a
 * fiftieth of it. `OPERATORS_KILL=1` kills the relays in the middle of a run, which takes minutes: a lease must end.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { newFolder, type RunningRelay, type RuntimeName, startRelay } from '../runtimes/relays.ts'
import { cli } from '../support/cli.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'
import { sourceNames } from './sources.ts'

const scale = Number(process.env['OPERATORS_SCALE'] ?? 0.02)
const scaled = (count: number, least: number) => Math.max(least, Math.round(count * scale))
const over = 2 * scaled(5_000, 50)
const rejected = scaled(200, 4)
const unmappable = 3 * scaled(100, 5)
const expired = scaled(50, 3)
const perSource = unmappable / 3
const filling = Math.max(perSource, rejected)
/** Long enough to be taken in, and soon over. */
const expiresInMs = 8_000
const hourMs = 3_600_000
/** Relays are killed in the middle of a run; their leases of 90 s must end before another run goes on. */
const kills = process.env['OPERATORS_KILL'] === '1'
const patienceMs = 30_000 + 240_000 * scale + (kills ? 150_000 : 0)
const tooMany = '1000000'

// What a command answers is compared as it is.
type Json = Record<string, unknown>

/** The command with `--json`, its answer read. */
async function asked(relay: RunningRelay, ...args: string[]): Promise<Json> {
  const { status, out, err } = await cli([...args, '--json'], {
    RELAY_URL: relay.url,
    ADMIN_TOKEN: testSecrets.adminToken,
  })
  expect([args.join(' '), status, err], out).toEqual([args.join(' '), expect.toBeOneOf([0, 1]), expect.any(String)])
  if (process.env['OPERATORS_TRACE'])
    process.stderr.write(`${new Date().toISOString()} ${args.join(' ')} ${out.slice(0, 300)}\n`)
  return JSON.parse(out) as Json
}

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  const giveUpAtMs = performance.now() + patienceMs
  while (!(await done())) {
    if (performance.now() > giveUpAtMs) throw new Error(`not within ${patienceMs} ms: ${what}`)
    await sleep(200)
  }
}

/** Until a run has moved letters of its plan, or is over. */
async function someMoved({ url }: RunningRelay, plan: string): Promise<void> {
  for (;;) {
    const response = await fetch(`${url}/admin/api/dead/plans/${plan}`, {
      headers: { authorization: `Bearer ${testSecrets.adminToken}` },
    })
    const { state, done } = (await response.json()) as { state: string; done: number }
    if (process.env['OPERATORS_TRACE']) process.stderr.write(`${state}, ${done} moved\n`)
    if (done > 0 || state === 'done') return
  }
}

interface Update {
  readonly id: string
  readonly visitor: { readonly thirdPartyId: string }
  readonly attributes: { readonly tier: string }
  readonly occurredAt?: string
}

/** By the status of their receipts, and by the reason. */
async function send({ url }: RunningRelay, updates: readonly Update[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let at = 0; at < updates.length; at += 100) {
    const response = await fetch(`${url}/v1/updates`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ updates: updates.slice(at, at + 100) }),
    })
    const { results } = (await response.json()) as { results: { status: string; reason?: string }[] }
    for (const { status, reason } of results) {
      const name = reason === undefined ? status : `${status}_${reason}`
      counts[name] = (counts[name] ?? 0) + 1
    }
  }
  return counts
}

async function hook({ url }: RunningRelay, source: string, event: object): Promise<number> {
  const response = await fetch(`${url}/hooks/${source}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testSecrets.hook(source)}`, 'content-type': 'application/json' },
    body: JSON.stringify(event),
  })
  await response.text()
  return response.status
}

const many = (count: number, make: (n: number) => Update) => Array.from({ length: count }, (_, n) => make(n))
const update = (id: string, visitor: string, tier: string, more: Partial<Update> = {}): Update => ({
  id,
  visitor: { thirdPartyId: visitor },
  attributes: { tier },
  ...more,
})

const relays: readonly (readonly [string, RuntimeName, 'embedded' | 'upstash'])[] = [
  ['a server on SQLite', 'node', 'embedded'],
  ['a server with its ledger on Redis', 'node', 'upstash'],
  ['workerd with KV', 'workerd', 'embedded'],
  ['workerd with KV and its ledger on Redis', 'workerd', 'upstash'],
]

// Beside each other: where relays are killed, most of the time goes by in waiting for leases.
describe('operators, with the command alone', () => {
  it.concurrent.each(relays)('%s', { timeout: 60_000 + 20 * patienceMs }, async (_, runtime, ledger) => {
    let onCall = () => {}
    await using emulator = await startEmulator({ autoSeed: true, onCall: () => onCall() })
    await using upstash = ledger === 'upstash' ? await startUpstashStandIn() : undefined
    const folder = newFolder()
    const settings = (quota: string) =>
      settingsFor(emulator.origin, {
        QUOTA_LIMIT: quota,
        REPLAY_RESERVE: '0',
        RETENTION_HOURS: '1',
        // What a run puts back waits as long.
        OUTAGE_SETTLE_MS: '1000',
        // On a busy machine an answer may be late; nothing is `deferred_slow` here.
        ANSWER_DEADLINE_MS: '25000',
        ...Object.fromEntries(sourceNames.map((name) => [`HOOK_SECRET_${name.toUpperCase()}`, testSecrets.hook(name)])),
        ...(upstash === undefined
          ? {}
          : { UPSTASH_REDIS_REST_URL: upstash.url, UPSTASH_REDIS_REST_TOKEN: upstash.token }),
      })
    const start = (kind: 'broken' | 'mended', quota: string) =>
      startRelay(runtime, folder, settings(quota), `test/operators/${kind}/sources.ts`)
    let relay = await start('broken', String(filling + rejected))
    try {
      // What an oracle knows: the answers, and what the stand-in of Target counted.
      for (let n = 0; n < rejected; n++)
        emulator.faults.add({ kind: 'refuse', message: 'no such thing', visitor: `3p:bad-${n}` })
      const fill = (n: number) => update(`fill-${n}`, n < perSource ? `desk-${n}` : `fill-${n}`, 'newer')
      expect(await send(relay, [fill(0)])).toEqual({ submitted: 1 })
      // Before Target's first yes is on record a refusal is no verdict; it is recorded behind the answer.
      await until(
        async () => ((await asked(relay, 'status')) as { health: { saidYes: boolean } }).health.saidYes,
        'the first yes is on record',
      )
      // Among others that are accepted: twenty refusals in a row would say that Target refuses everybody.
      const early: Record<string, number> = { submitted: 1 }
      for (let n = 0; n < Math.max(filling, rejected); n += 5) {
        const some = Array.from({ length: 5 }, (_, at) => n + at)
        const bad = some.filter((at) => at < rejected).map((at) => update(`bad-${at}`, `bad-${at}`, 'refused'))
        const good = some.filter((at) => at > 0 && at < filling).map(fill)
        for (const [status, count] of Object.entries(await send(relay, [...bad, ...good])))
          early[status] = (early[status] ?? 0) + count
      }
      expect(early).toEqual({ submitted: filling, rejected })
      // Older than what was delivered to the visitors of the first source.
      const at = new Date(Date.now() - 600_000).toISOString()
      for (const source of sourceNames)
        for (let n = 0; n < perSource; n++)
          expect(await hook(relay, source, { id: `${source}-${n}`, who: `${source}-${n}`, at })).toBe(202)
      await asked(relay, 'pause')
      const occurredAt = new Date(Date.now() - hourMs + expiresInMs).toISOString()
      const late = many(expired, (n) => update(`late-${n}`, `late-${n}`, 'late', { occurredAt }))
      expect(await send(relay, late)).toEqual({ deferred_paused: expired })
      await asked(relay, 'resume')
      const calls = emulator.statistics().calls
      expect(calls).toBe(filling + rejected)

      await until(async () => {
        await asked(relay, 'flush', '--relay')
        return (
          ((await asked(relay, 'status')) as { dead?: { byReason: Record<string, number> } }).dead?.byReason[
            'expired'
          ] === expired
        )
      }, 'what is too old is set aside')
      const first = await send(
        relay,
        many(over / 2, (n) => update(`old-${n}`, `v-${n}`, 'old')),
      )
      const second = await send(
        relay,
        many(over / 2, (n) => update(`new-${n}`, `v-${n}`, 'new')),
      )
      expect([first, second]).toEqual([{ deferred_quota: over / 2 }, { deferred_quota: over / 2 }])
      await asked(relay, 'flush', '--relay')

      const bySource = Object.fromEntries(sourceNames.map((name) => [name, perSource]))
      expect(await asked(relay, 'status')).toMatchObject({
        quota: { used: calls, limit: filling + rejected },
        dead: {
          count: rejected + unmappable + expired,
          byReason: { rejected, unmappable, expired },
          bySource: { ...bySource, api: rejected + expired },
        },
        today: {
          api: {
            received: filling + rejected + expired + over,
            submitted: filling,
            rejected,
            deferred_paused: expired,
            deferred_quota: over,
            set_aside: expired,
            calls,
          },
          ...Object.fromEntries(sourceNames.map((name) => [name, { quarantined: perSource }])),
        },
        paused: false,
      })
      const waits = { waiting: over, visitors: over / 2, calls: over / 2, complete: true }
      expect(await asked(relay, 'backlog')).toMatchObject({
        ...waits,
        bySource: { api: over },
        byReason: { quota: over },
      })
      expect(await asked(relay, 'dead', 'ls', '--reason', 'rejected', '--limit', '1')).toMatchObject({
        letters: [{ reason: 'rejected', source: 'api', detail: 'no such thing' }],
      })

      // Erased before it is sent; one source is given up.
      expect(await asked(relay, 'erase', 'v-0')).toMatchObject({ entries: 2, complete: true })
      const given = await asked(relay, 'dead', 'plan', 'drop', '--source', 'till')
      expect(given).toMatchObject({ action: 'drop', letters: perSource })

      await relay.end('SIGTERM')
      relay = await start('mended', tooMany)
      emulator.faults.clear()
      const run = async (plan: string) => {
        await until(async () => {
          const { state } = (await asked(relay, 'dead', 'run', plan, '--no-wait')) as { state: string }
          if (state === 'running') await asked(relay, 'flush', '--relay')
          return state === 'done'
        }, `plan ${plan} is done`)
      }
      await run(String(given['plan']))
      const remap = await asked(relay, 'dead', 'plan', 'remap', '--reason', 'unmappable')
      expect(remap).toMatchObject({ letters: 2 * perSource, updates: 2 * perSource, doneBy: expect.any(String) })
      const dies = async (args: readonly string[], dying: Promise<unknown>) => {
        const env = { RELAY_URL: relay.url, ADMIN_TOKEN: testSecrets.adminToken }
        await Promise.all([cli(args, env), dying.then(() => relay.end('SIGKILL'))])
        relay = await start('mended', tooMany)
      }
      const firstCall = () =>
        new Promise<void>((resolve) => {
          onCall = resolve
        })
      // Killed once some letters are moved, and again in the flush that sends these and what waited before.
      if (kills) {
        await dies(['dead', 'run', String(remap['plan']), '--no-wait'], someMoved(relay, String(remap['plan'])))
        await dies(['flush', '--relay'], firstCall())
      }
      await run(String(remap['plan']))
      // The lease on plans may have died with a relay just behind its last step: as with a cron, a run goes on with them.
      const planned = async (...args: string[]) => {
        let isMade = false
        const making = asked(relay, 'dead', 'plan', ...args).finally(() => {
          isMade = true
        })
        await until(
          async () => {
            await sleep(800)
            if (!isMade) await asked(relay, 'flush', '--relay')
            return isMade
          },
          `the plan ${args.join(' ')} is made`,
        )
        return making
      }
      const replay = await planned('replay', '--reason', 'rejected')
      expect(replay).toMatchObject({ letters: rejected })
      await run(String(replay['plan']))
      const again = await planned('replay', '--reason', 'expired', '--as-new')
      await run(String(again['plan']))
      await until(async () => {
        await asked(relay, 'flush', '--relay')
        return ((await asked(relay, 'backlog')) as { waiting: number }).waiting === 0
      }, 'everything that waits is sent')

      const values = (visitor: string) => emulator.profiles.values(`3p:${visitor}`)?.['tier']
      const expectAll = (count: number, visitor: string, tier: string | undefined, from = 0) => {
        for (let n = from; n < count; n++)
          expect([`${visitor}-${n}`, values(`${visitor}-${n}`)]).toEqual([`${visitor}-${n}`, tier])
      }
      expectAll(over / 2, 'v', 'new', 1)
      expectAll(1, 'v', undefined)
      expectAll(perSource, 'desk', 'newer')
      expectAll(perSource, 'shop', 'mapped')
      expectAll(perSource, 'till', undefined)
      expectAll(rejected, 'bad', 'refused')
      expectAll(expired, 'late', 'late')
      expect(((await asked(relay, 'dead', 'ls')) as { letters: unknown[] }).letters).toEqual([])

      // Nothing twice: what was in flight when it was killed may be sent again, under its own stamp.
      const taken = emulator.statistics().accepted
      const expected = filling + (over / 2 - 1) + perSource + rejected + expired
      const inFlight = kills ? 16 : 0
      expect(taken).toBeGreaterThanOrEqual(expected)
      expect(taken).toBeLessThanOrEqual(expected + inFlight)
    } finally {
      await relay.end('SIGKILL')
    }
  })
})
