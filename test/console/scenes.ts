/**
 * Relays in the states that an operator meets, each with a stand-in of Target, on a clock of its own: three days of
 * traffic go by in a second or two.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Source } from '../../src/edge/source/types.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { sources as exampleSources } from '../../src/sources.ts'
import { seededRandom } from '../support/clock.ts'
import { testSecrets } from '../support/secrets.ts'
import { signedHook } from '../support/sender.ts'
import { startServer, type TestServer } from '../support/server.ts'

export const viewToken = 'view-token-for-tests-only'
export const hourMs = 3_600_000
/** When the scenes end: 14:20 UTC. */
export const sceneMs = Date.parse('2026-11-26T14:20:00Z')

/** The process's clock, moved by hand; both hands of it, or a jump would be noticed. */
const real = { now: Date.now, tick: performance.now.bind(performance) }

export function setClock(ms: number): void {
  Date.now = () => ms
  performance.now = () => ms - 1_700_000_000_000
}

export function realClock(): void {
  Date.now = real.now
  performance.now = real.tick
}

export interface Scene {
  readonly server: TestServer
  readonly emulator: Emulator
  /** What the traffic was, by plain counting. */
  readonly sent: Readonly<Record<string, number>>
  /** When each call came to Target, by Target; epoch ms. */
  readonly calls: readonly number[]
  /** How many updates Target refused. */
  rejected(): number
  send(updates: readonly object[]): Promise<readonly string[]>
  close(): Promise<void>
}

export interface SceneOptions {
  readonly settings?: Readonly<Record<string, string>>
  readonly sources?: readonly Source[]
  /** Writes into the store before the relay begins. Then nothing is sealed. */
  readonly filled?: (file: DatabaseSync) => void
}

export async function startScene({
  settings = {},
  sources = exampleSources,
  filled,
}: SceneOptions = {}): Promise<Scene> {
  // Before anything looks at it: a ledger notices a clock that jumps.
  setClock(sceneMs - 73 * hourMs)
  const calls: number[] = []
  const emulator = await startEmulator({ autoSeed: true, onCall: (atMs) => calls.push(atMs) })
  // Nothing here is about disks, and three days of traffic are many commits.
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'target-relay-console-'))
  if (filled !== undefined) {
    const file = new DatabaseSync(join(folder, 'relay.sqlite'))
    filled(file)
    file.close()
  }
  const server = await startServer(emulator.origin, {
    sources,
    folder,
    settings: {
      VIEW_TOKEN: `viewer=${viewToken}`,
      ...(filled ? {} : { BACKLOG_KEYS: `k1:${'A'.repeat(43)}=` }),
      ...settings,
    },
  })
  const sent: Record<string, number> = {}
  return {
    server,
    emulator,
    sent,
    calls,
    rejected: () => emulator.statistics().calls - emulator.statistics().accepted,
    async send(updates) {
      const answer = await ask(server, '/v1/updates', testSecrets.apiToken, { updates })
      const { results = [] } = (await answer.json()) as { results?: { status: string }[] }
      for (const { status } of results) sent[status] = (sent[status] ?? 0) + 1
      return results.map(({ status }) => status)
    },
    async close() {
      realClock()
      await server.stop()
      rmSync(server.folder, { recursive: true, force: true })
      await emulator[Symbol.asyncDispose]()
    },
  }
}

export async function ask(server: TestServer, path: string, token: string, body?: object): Promise<Response> {
  return server.relay.app.fetch(
    new Request(`${server.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  )
}

export async function act(server: TestServer, path: string, body: object = {}): Promise<unknown> {
  return (await ask(server, `/admin/api${path}`, testSecrets.adminToken, body)).json()
}

async function hook(server: TestServer, source: string, id: string, event: object): Promise<number> {
  const request = signedHook(source, id, event, new Date(Date.now()))
  const { status } = await server.relay.app.fetch(
    new Request(`${server.url}${request.path}`, { method: 'POST', headers: request.headers, body: request.body }),
  )
  return status
}

/** Three days of several sources: a quiet night, two busy afternoons over the quota, failures of each kind. */
export async function threeDays(scene: Scene): Promise<void> {
  const { server, emulator } = scene
  const random = seededRandom(11)
  for (let hour = 72; hour >= 0; hour--) {
    const atMs = sceneMs - hour * hourMs
    const ofDay = new Date(atMs).getUTCHours()
    const busy = ofDay >= 9 && ofDay <= 17
    setClock(atMs)
    if (hour % 18 === 3) emulator.faults.add({ kind: 'refuse', message: 'Attribute "tier" is not allowed', count: 2 })
    const count = Math.round((busy ? 34 : 6) * (0.7 + 0.6 * random.fraction()) * (hour < 30 && busy ? 1.7 : 1))
    await scene.send(
      Array.from({ length: count }, (_, n) => ({
        id: `${hour}-${n}`,
        visitor: { thirdPartyId: `visitor-${Math.floor(random.fraction() * 300)}` },
        attributes: { tier: `t${n}` },
      })),
    )
    for (let n = 0; n < (busy ? 7 : 2); n++) {
      const at = new Date(atMs).toISOString()
      const customer = `c${Math.floor(random.fraction() * 90)}`
      await hook(server, 'call-centre', `${hour}-c${n}`, { caseId: `${hour}-${n}`, customer, outcome: 'resolved', at })
      await hook(server, 'loyalty', `${hour}-l${n}`, {
        card: customer,
        store: { city: 'Bern', id: 's7' },
        points: n,
        at,
      })
      if (n === 0 && hour % 5 === 0) await hook(server, 'loyalty', `${hour}-bad`, { card: 7 })
      if (n === 0 && hour < 12) await ask(server, '/hooks/kiosk', 'wrong', {})
    }
    for (const minute of hour === 0 ? [0] : [2, 30]) {
      setClock(atMs + minute * 60_000)
      await server.relay.flush()
    }
  }
  setClock(sceneMs)
}

/** Target refuses the relay's token, and updates wait. */
export async function refusing(scene: Scene): Promise<void> {
  setClock(sceneMs - 20 * 60_000)
  await scene.send([{ id: 'first', visitor: { thirdPartyId: 'v0' }, attributes: { tier: 'gold' } }])
  scene.emulator.faults.add({ kind: 'status', status: 403, body: 'Forbidden' })
  for (let n = 0; n < 40; n++)
    await scene.send([{ id: `n${n}`, visitor: { thirdPartyId: `v${n}` }, attributes: { tier: `t${n}` } }])
  setClock(sceneMs)
  await scene.server.relay.flush()
}

export const markup = `"'><img src=x onerror=alert(1)><script>alert(2)</script>&lt;`

/** Everything that others write is full of markup: attributes, ids, Target's messages, mappings' complaints, profiles. */
export async function hostile(scene: Scene): Promise<void> {
  const { server, emulator } = scene
  setClock(sceneMs - 60_000)
  await scene.send([{ id: markup, visitor: { thirdPartyId: 'v-hostile' }, attributes: { tier: markup } }])
  emulator.faults.add({ kind: 'refuse', message: markup, count: 2 })
  await scene.send([{ id: 'b', visitor: { thirdPartyId: 'v-other' }, attributes: { tier: markup } }])
  await hook(server, 'loyalty', 'm1', { card: markup, [markup]: markup })
  await hook(server, 'call-centre', 'm2', { caseId: markup, customer: 'v-hostile', outcome: markup, at: markup })
  await act(server, '/pause')
  await scene.send([{ id: 'c', visitor: { thirdPartyId: 'v-hostile' }, attributes: { tier: `${markup}2` } }])
  setClock(sceneMs)
}
