/** A relay in this process, and somebody who looks at its console without a browser: pages, links, forms. */
import * as z from 'zod'
import type { Clock } from '../../../src/core/clock.ts'
import { bearer } from '../../../src/edge/auth/index.ts'
import { source } from '../../../src/edge/source/source.ts'
import type { Source } from '../../../src/edge/source/types.ts'
import { createRelay, readSettings } from '../../../src/relay/create.ts'
import { systemClock } from '../../../src/relay/runtime.ts'
import { sqliteStorage } from '../../../src/server/sqlite-storage.ts'
import { basic } from '../../support/admin.ts'
import { testSecrets } from '../../support/secrets.ts'
import { settingsFor } from '../../support/settings.ts'

export const origin = 'https://relay.example'
export const viewToken = 'view-token-for-tests-only'
export const asAdmin = basic('admin', testSecrets.adminToken)
export const asViewer = basic('viewer', viewToken)

export const shop = source('shop', {
  auth: bearer(),
  schema: z.object({ order: z.string(), who: z.string(), at: z.string() }),
  map: ({ order, who, at }) => ({ id: order, visitor: { thirdPartyId: who }, occurredAt: at, attributes: { order } }),
  sample: { order: 'o-1', who: 'c-1', at: '2026-11-24T10:00:00Z' },
})

export interface Options {
  readonly settings?: Readonly<Record<string, string>>
  readonly sources?: readonly Source[]
  /** Target's answer. */
  readonly target?: (url: string, init: RequestInit | undefined) => Response | Promise<Response>
  readonly clock?: Partial<Clock>
}

export const accepted = () =>
  new Response('<profileUpdateResponse><success>true</success></profileUpdateResponse>', {
    headers: { 'content-type': 'application/xml' },
  })

export async function relayOf({ settings = {}, sources = [shop], target = accepted, clock = {} }: Options = {}) {
  const behind = new Set<Promise<unknown>>()
  const logged: string[] = []
  const relay = await createRelay({
    sources,
    settings: readSettings(
      settingsFor('https://target.example', {
        VIEW_TOKEN: `viewer=${viewToken}`,
        HOOK_SECRET_SHOP: testSecrets.hook('shop'),
        ...settings,
      }),
    ),
    storage: sqliteStorage(':memory:', { log: () => undefined }),
    fetch: async (url, init) => target(String(url), init),
    clock: { ...systemClock, ...clock },
    log: (event, details) => logged.push(JSON.stringify({ event, ...details })),
    background: (work) => behind.add(work),
  })
  const { app } = relay
  const get = (path: string, headers: object = asAdmin) =>
    app.fetch(new Request(`${origin}${path}`, { headers: { ...headers } }))
  const api = async (path: string, body?: object) =>
    app.fetch(
      new Request(`${origin}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${path.startsWith('/admin') ? testSecrets.adminToken : testSecrets.apiToken}`,
          'content-type': 'application/json',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    )
  return {
    relay,
    logged,
    get,
    api,
    settled: async () => {
      while (behind.size > 0) {
        const all = [...behind]
        await Promise.all(all)
        for (const one of all) behind.delete(one)
      }
    },
    acts: async () => ((await (await api('/admin/api/audit')).json()) as { acts: { what: string }[] }).acts,
    hook: (body: string) =>
      app.fetch(
        new Request(`${origin}/hooks/shop`, {
          method: 'POST',
          headers: { authorization: `Bearer ${testSecrets.hook('shop')}`, 'content-type': 'application/json' },
          body,
        }),
      ),
    /** The token that a page gives to its forms. */
    tokenFor: async (headers: object = asAdmin) => tokenIn(await (await get('/admin/visitor', headers)).text()),
    post: (path: string, fields: Readonly<Record<string, string | readonly string[]>>, headers: object = asAdmin) =>
      app.fetch(
        new Request(`${origin}${path}`, {
          method: 'POST',
          headers: { origin, 'sec-fetch-site': 'same-origin', ...headers },
          body: new URLSearchParams(
            Object.entries(fields).flatMap(([name, values]) => [values].flat().map((value) => [name, value])),
          ),
        }),
      ),
  }
}

export function tokenIn(page: string): string {
  return /name="token" value="([0-9a-f]{32})"/.exec(page)?.[1] ?? ''
}

/** Where the links and forms of a page lead, as a browser resolves them. */
export function linksIn(page: string, at: string): readonly string[] {
  return [...page.matchAll(/(?:href|action)="([^"]*)"/g)].map(
    ([, to = '']) => new URL(to.replaceAll('&amp;', '&'), at).href,
  )
}

/** Every address of the console, with what stands for a letter and a plan. */
export const pages = ['', '/visitor', '/dead', '/sources', '/sources/shop', '/steering'] as const
