/** The operators' routes on a world, as somebody asks them over HTTP. */
import { given } from '../../src/core/given.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { createDeadOffice, type DeadOfficeParts } from '../../src/core/operator/dead/office.ts'
import { createErase } from '../../src/core/operator/erase.ts'
import { createSeals } from '../../src/core/operator/seals.ts'
import { createSeries } from '../../src/core/operator/series.ts'
import { createFind } from '../../src/core/operator/visitor/find-visitor.ts'
import { createHasher } from '../../src/core/update/hash.ts'
import type { FetchProfile } from '../../src/core/wire/profile.ts'
import { createApp } from '../../src/edge/app.ts'
import type { OperatorToken } from '../../src/edge/auth/operators.ts'
import type { Act } from '../../src/edge/routes/parts.ts'
import { readSettings } from '../../src/relay/create.ts'
import { systemClock } from '../../src/relay/runtime.ts'
import { createStatus } from '../../src/relay/status.ts'
import { seededRandom } from './clock.ts'
import { testSecrets } from './secrets.ts'
import { settingsFor } from './settings.ts'
import { type World, worldSettings } from './world.ts'

export const origin = 'https://relay.example'
export const bearerOf = (token: string) => ({ authorization: `Bearer ${token}` })
export const bearer = bearerOf(testSecrets.adminToken)
export const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})

/** What any app of these logged. */
export const logged: unknown[] = []

export interface AdminOptions {
  readonly operators?: readonly OperatorToken[]
  readonly adminAccess?: readonly string[]
  readonly accessEmail?: () => Promise<string | undefined>
  readonly maxOperations?: number
  readonly map?: DeadOfficeParts['map']
  readonly profile?: FetchProfile
}

/** Asks the routes of an app whose operators they are, on a world's stores. */
export async function adminOf(world: World, options: AdminOptions = {}) {
  const {
    operators = [{ role: 'admin', token: testSecrets.adminToken }],
    adminAccess = [],
    accessEmail,
    maxOperations = 900,
  } = options
  const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
  const { ledger, backlog } = world
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [{ token: testSecrets.apiToken, lane: 'live' }],
      operators,
      adminAccess,
      hookSecrets: new Map(),
    },
    sources: [],
    prepare: () => Promise.reject(new Error('not here')),
    wire: { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' },
    deliver: () => Promise.reject(new Error('not here')),
    bury: () => Promise.reject(new Error('not here')),
    ready: () => Promise.reject(new Error('not here')),
    operator: {
      usage: () => ledger.usage(),
      ...createStatus({
        settings: readSettings(settingsFor('http://127.0.0.1:1')),
        ledger,
        backlog,
        clock: world.clock,
        ready: async () => ({ ready: true, ledger: 'embedded', checks: {} }),
      }),
      profile: options.profile ?? (async () => ({ kind: 'unknown' })),
      series: createSeries({ ledger, clock: world.clock }),
      pause: (paused) => ledger.pause(paused),
      confirmClock: () => ledger.confirmClock(),
      takeOver: async (client) => (client === 'amce' ? undefined : 'is not the client code that the ledger bears'),
      restate: (units) => ledger.restate(units),
      flush: () => world.flush(),
      erase: createErase({ hasher, ledger, backlog, clock: world.clock, maxOperations, log: () => undefined }),
      seals: createSeals({ backlog, first: undefined, clock: world.clock, maxOperations }),
      find: createFind({ hasher, ledger, backlog, clock: world.clock, maxOperations }),
      moveOut: (cursor) => ledger.moveOut(cursor),
      moveIn: (part) => ledger.moveIn(part),
      restored: () => ledger.restored(),
      formHash: hasher.form,
      prepareSample: () => Promise.reject(new Error('not here')),
      hashKeyName: async () => 'a-key',
      dead: createDeadOffice({
        ...{ hasher, backlog, ledger, clock: world.clock, maxOperations, limits: defaultLimits },
        random: seededRandom(4),
        map: options.map ?? (async () => ({ ok: false, reason: 'not mended' })),
        retentionMs: worldSettings.retentionMs,
      }),
      closeBreaker: () => ledger.closeBreaker(),
      record: (act) => ledger.recordAct(JSON.stringify(act)),
      acts: async () => (await ledger.acts()).map((act) => JSON.parse(act) as Act),
    },
    ...given({ accessEmail }),
    clock: systemClock,
    log: (event, details) => logged.push([event, details]),
  })
  return async (
    path: string,
    { body, headers = bearer, method = 'POST' }: { body?: unknown; headers?: object; method?: string } = {},
  ) => {
    const answer = await app.fetch(
      new Request(`${origin}/admin/api${path}`, {
        method,
        headers: { ...(method === 'POST' ? { 'content-type': 'application/json' } : {}), ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
    )
    return { status: answer.status, answer: (await answer.json()) as Record<string, unknown>, headers: answer.headers }
  }
}
