/** What the requests of one isolate share, and what they do not. */
import { describe, expect, it, vi } from 'vitest'
import { defaultLimits } from '../../src/core/limits.ts'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createBase, type RelayBase } from '../../src/relay/base.ts'
import { sqliteStorage } from '../../src/server/sqlite-storage.ts'
import { relayHandlers } from '../../src/workers/handlers.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'

type Bindings = Readonly<Record<string, string>>

/** Handlers that count what is built, with one in-memory storage for each env. */
function worker(build = createBase) {
  const built: RelayBase[] = []
  const storages = new Map<Bindings, ReturnType<typeof sqliteStorage>>()
  const handlers = relayHandlers<Bindings>({
    sources: [],
    storageOf: (env) => {
      const storage = storages.get(env) ?? sqliteStorage(':memory:')
      storages.set(env, storage)
      return storage
    },
    build: async (settings, sources) => {
      const base = await build(settings, sources)
      built.push(base)
      return base
    },
  })
  return { ...handlers, built }
}

/** A request's context: what it passed to `waitUntil`, and whether it still may. */
function context() {
  const work: Promise<unknown>[] = []
  let isOpen = true
  return {
    work,
    waitUntil: (promise: Promise<unknown>) => {
      if (!isOpen) throw new Error('this request is over')
      work.push(promise)
    },
    async end() {
      for (let done = 0; done < work.length; done = work.length) await Promise.all(work)
      isOpen = false
    },
  }
}

const update = (visitor: string, token = testSecrets.apiToken) =>
  new Request('https://relay.example/v1/updates', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ visitor: { thirdPartyId: visitor }, attributes: { tier: 'gold' } }),
  })

describe('the requests of one isolate', () => {
  it('share what belongs to none of them: it is built once', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const env = settingsFor(emulator.origin)
    const { fetch, scheduled, built } = worker()
    const statuses: number[] = []
    for (const visitor of ['a', 'b', 'c']) {
      const ctx = context()
      statuses.push((await fetch(update(visitor), env, ctx)).status)
      await ctx.end()
    }
    const ctx = context()
    await scheduled({ noRetry: () => {} }, env, ctx)
    await ctx.end()
    expect(statuses).toEqual([200, 200, 200])
    expect(built).toHaveLength(1)
  })

  it('that run at once each finish after their own answer, and use nothing of a finished one', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const env = settingsFor(emulator.origin)
    const { fetch } = worker()
    const rounds = [
      ['a', 'b', 'c', 'd'],
      ['e', 'f', 'g', 'h'],
    ]
    for (const visitors of rounds) {
      const asked = visitors.map(async (visitor) => {
        const ctx = context()
        const { status } = await fetch(update(visitor), env, ctx)
        // The answer itself, and the settle after it.
        const promised = ctx.work.length
        await ctx.end()
        return { status, promised }
      })
      for (const { status, promised } of await Promise.all(asked)) {
        expect(status).toBe(200)
        expect(promised).toBeGreaterThanOrEqual(2)
      }
    }
  })

  it('share the bound on how many are handled at once', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    emulator.faults.add({ kind: 'delay', delayMs: 1_000, share: 1, seed: 1 })
    const env = settingsFor(emulator.origin)
    const { fetch } = worker()
    const ctx = context()
    await fetch(new Request('https://relay.example/healthz'), env, ctx)
    const first = Array.from({ length: defaultLimits.requestsAtOnce }, (_, n) => fetch(update(`v${n}`), env, ctx))
    const over = await fetch(update('one more'), env, ctx)
    expect([over.status, over.headers.get('retry-after')]).toEqual([503, '10'])
    for (const { status } of await Promise.all(first)) expect([200, 202]).toContain(status)
    await ctx.end()
  })

  it('do not wait for what another request began to build', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const env = settingsFor(emulator.origin)
    let builds = 0
    const never = new Promise<never>(() => {})
    const { fetch } = worker((settings, sources) => (++builds === 1 ? never : createBase(settings, sources)))
    // Its sender hung up, and the platform ended it halfway.
    void fetch(update('a'), env, context())
    const ctx = context()
    expect((await fetch(update('b'), env, ctx)).status).toBe(200)
    await ctx.end()
  })

  it('build again what failed to build', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const env = settingsFor(emulator.origin)
    let builds = 0
    const { fetch } = worker(async (settings, sources) => {
      if (++builds === 1) throw new Error('no keys right now')
      return createBase(settings, sources)
    })
    await expect(fetch(update('a'), env, context())).rejects.toThrow('no keys right now')
    const ctx = context()
    expect((await fetch(update('a'), env, ctx)).status).toBe(200)
    await ctx.end()
  })

  it('with another env have its settings, and nothing of the first', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const otherToken = 'another-token-of-more-than-twenty-characters'
    const env = settingsFor(emulator.origin)
    const other = settingsFor(emulator.origin, {
      API_TOKENS: otherToken,
      HASH_KEY: 'another-key-of-thirty-two-bytes-x',
    })
    const { fetch, built } = worker()
    const statusOf = async (asked: Request, of: Bindings) => {
      const ctx = context()
      const { status } = await fetch(asked, of, ctx)
      await ctx.end()
      return status
    }
    expect(await statusOf(update('a'), env)).toBe(200)
    expect(await statusOf(update('a'), other)).toBe(401)
    expect(await statusOf(update('a', otherToken), other)).toBe(200)
    expect(await statusOf(update('a', otherToken), env)).toBe(401)
    const names = await Promise.all(built.map(({ hasher }) => hasher.visitor({ thirdPartyId: 'a' })))
    expect(new Set(names).size).toBe(2)
    expect(built).toHaveLength(2)
  })

  it('name their trace in their lines, and no other’s; each line by the console’s method of its level', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const env = settingsFor(emulator.origin, { LOG_REQUESTS: 'all' })
    const { fetch } = worker()
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
    const lines: unknown[] = []
    for (const method of ['log', 'warn', 'error'] as const)
      vi.spyOn(console, method).mockImplementation((line) => lines.push([method, JSON.parse(line)]))
    try {
      for (const traceparent of [`00-${trace}-00f067aa0ba902b7-01`, 'none']) {
        const asked = update('a', 'another-token-of-more-than-twenty-characters')
        asked.headers.set('traceparent', traceparent)
        const ctx = context()
        await fetch(asked, env, ctx)
        await ctx.end()
      }
    } finally {
      vi.restoreAllMocks()
    }
    const request = { level: 'info', event: 'request', route: '/v1/updates', status: 401 }
    expect(lines).toMatchObject([
      ['warn', { level: 'warn', event: 'unauthenticated', source: 'api', trace_id: trace }],
      ['log', { ...request, trace_id: trace }],
      ['log', request],
    ])
    expect(JSON.stringify(lines[2])).not.toContain(trace)
  })

  it('with invalid settings are told so, while another env works', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const bad = settingsFor(emulator.origin, { HASH_KEY: 'short' })
    const { fetch } = worker()
    expect((await fetch(update('a'), bad, context())).status).toBe(503)
    const ctx = context()
    expect((await fetch(update('a'), settingsFor(emulator.origin), ctx)).status).toBe(200)
    await ctx.end()
  })
})

describe('Cloudflare Access', () => {
  it('names who asks: an operator if ADMIN_ACCESS lists them, and nobody by a header that anybody could send', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const env = settingsFor(emulator.origin, { ADMIN_ACCESS: 'alice@example.com' })
    const { fetch } = worker()
    const asked = async (email: string | undefined, headers: Record<string, string> = {}) => {
      const ctx = context()
      const access = email === undefined ? {} : { access: { aud: 'a', getIdentity: async () => ({ email }) } }
      const request = new Request('https://relay.example/admin/api/audit', { headers })
      const { status } = await fetch(request, env, { waitUntil: ctx.waitUntil, ...access })
      await ctx.end()
      return status
    }
    expect(await asked('Alice@example.com')).toBe(200)
    expect(await asked('eve@example.com')).toBe(401)
    expect(await asked(undefined, { 'cf-access-authenticated-user-email': 'alice@example.com' })).toBe(401)
  })
})
