/** Who gets into the console, and that a form must be its own (security). */
import { describe, expect, it } from 'vitest'
import { basic, bearerOf } from '../../support/admin.ts'
import { testSecrets } from '../../support/secrets.ts'
import { asAdmin, asViewer, origin, pages, relayOf, tokenIn } from './browser.ts'

const files = ['/console.css', '/icon.svg']

describe('the console', () => {
  it('is not there where no operator is set', async () => {
    const { get } = await relayOf({ settings: { ADMIN_TOKEN: '', VIEW_TOKEN: '' } })
    for (const path of [...pages, ...files])
      for (const headers of [{}, asAdmin]) expect((await get(`/admin${path}`, headers)).status, path).toBe(404)
  })

  it.each<[string, object, number]>([
    ['nobody', {}, 401],
    ['a wrong token', basic('admin', 'wrong'), 401],
    ['a token of own systems', bearerOf(testSecrets.apiToken), 401],
    ['another role’s user', basic('view', testSecrets.adminToken), 401],
    ['an admin', asAdmin, 200],
    ['one who looks', asViewer, 200],
  ])('%s', async (_, headers, status) => {
    const { get } = await relayOf()
    for (const path of [...pages, ...files]) {
      const answer = await get(`/admin${path}`, headers)
      expect(answer.status, path).toBe(status)
      expect(answer.headers.has('www-authenticate')).toBe(status === 401)
    }
  })

  it('lets in whom Cloudflare Access names, with a form of their own', async () => {
    const { relay, api } = await relayOf({ settings: { ADMIN_ACCESS: 'eve@example.com' } })
    // What the platform passes on a Worker: test/edge/routes/admin.test.ts has the whole of it.
    expect((await relay.app.fetch(new Request(`${origin}/admin`))).status).toBe(401)
    expect((await api('/admin/api/status')).status).toBe(200)
  })

  it('a browser’s first request, which never has credentials, is no failure; a wrong password is one', async () => {
    const { get, logged } = await relayOf()
    await get('/admin', {})
    expect(logged.filter((line) => line.includes('unauthenticated'))).toEqual([])
    await get('/admin', basic('admin', 'wrong'))
    expect(logged.filter((line) => line.includes('unauthenticated'))).toHaveLength(1)
  })

  it('runs no script, is framed by nobody, tells nobody where it was, and is kept by no cache', async () => {
    const { get } = await relayOf()
    for (const path of pages) {
      const { headers } = await get(`/admin${path}`)
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy).not.toMatch(/script-src|unsafe|nonce/)
      expect(headers.get('referrer-policy')).toBe('same-origin')
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.has('set-cookie')).toBe(false)
    }
  })

  it('has nothing in its pages that its policy would stop', async () => {
    const { get } = await relayOf()
    for (const path of pages)
      expect(await (await get(`/admin${path}`)).text(), path).not.toMatch(
        /<script|<style|\sstyle=|\son[a-z]+=|javascript:/i,
      )
  })
})

describe('a form', () => {
  const paused = async (relay: Awaited<ReturnType<typeof relayOf>>) =>
    (await relay.relay.operator.usage()).health.paused

  it('of the console’s own page does what it says, and leads on', async () => {
    const relay = await relayOf()
    const answer = await relay.post('/admin/steering/pause', { token: await relay.tokenFor() })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '../steering?did=pause'])
    expect(await paused(relay)).toBe(true)
  })

  it.each<[string, Record<string, string>, object]>([
    ['without its token', {}, {}],
    ['with another text for its token', { token: '0'.repeat(32) }, {}],
    ['from another origin', {}, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['from another port', {}, { origin: `${origin}:8443`, 'sec-fetch-site': 'same-site' }],
    ['from a sandboxed page', {}, { origin: 'null', 'sec-fetch-site': 'cross-site' }],
  ])('%s is refused, and nothing is done', async (name, fields, headers) => {
    const relay = await relayOf()
    const token = name.includes('token') ? {} : { token: await relay.tokenFor() }
    const answer = await relay.post('/admin/steering/pause', { ...token, ...fields }, { ...asAdmin, ...headers })
    expect(answer.status).toBe(403)
    expect(await paused(relay)).toBe(false)
    expect(await relay.acts()).toEqual([])
  })

  it('from an older browser, which says no more than its origin, is judged by that', async () => {
    const relay = await relayOf()
    const token = await relay.tokenFor()
    const send = (from: string) =>
      relay.relay.app.fetch(
        new Request(`${origin}/admin/steering/pause`, {
          method: 'POST',
          headers: { ...asAdmin, origin: from },
          body: new URLSearchParams({ token }),
        }),
      )
    expect((await send('https://evil.example')).status).toBe(403)
    expect((await send(origin)).status).toBe(303)
  })

  it('of another operator is refused', async () => {
    const relay = await relayOf({
      settings: { ADMIN_TOKEN: `${testSecrets.adminToken},bob=token-of-bob-for-tests-only` },
    })
    const bob = basic('bob', 'token-of-bob-for-tests-only')
    expect((await relay.post('/admin/steering/pause', { token: await relay.tokenFor(bob) })).status).toBe(403)
    expect((await relay.post('/admin/steering/pause', { token: await relay.tokenFor(bob) }, bob)).status).toBe(303)
  })

  it('is good for an hour, and not for three', async () => {
    let nowMs = Date.now()
    const relay = await relayOf({ clock: { now: () => nowMs } })
    const token = await relay.tokenFor()
    nowMs += 3_600_000
    expect((await relay.post('/admin/visitor', { token, kind: 'thirdPartyId', id: '1' })).status).toBe(200)
    nowMs += 2 * 3_600_000
    expect((await relay.post('/admin/visitor', { token, kind: 'thirdPartyId', id: '1' })).status).toBe(403)
  })

  it.each(['text/plain', 'application/json', 'multipart/form-data; boundary=x'])('of type %s is none', async (type) => {
    const relay = await relayOf()
    const token = await relay.tokenFor()
    const answer = await relay.relay.app.fetch(
      new Request(`${origin}/admin/steering/pause`, {
        method: 'POST',
        headers: { ...asAdmin, origin, 'content-type': type },
        body: `token=${token}`,
      }),
    )
    expect(answer.status).toBe(400)
    expect(await paused(relay)).toBe(false)
  })

  it('larger than any is refused', async () => {
    const relay = await relayOf()
    const answer = await relay.post('/admin/sources/shop/try', {
      token: await relay.tokenFor(),
      event: 'x'.repeat(300_000),
    })
    expect(answer.status).toBe(400)
  })
})

describe('one who only looks', () => {
  const acts: readonly [string, Record<string, string>][] = [
    ['/steering/pause', {}],
    ['/steering/resume', {}],
    ['/steering/flush', {}],
    ['/steering/breaker', {}],
    ['/steering/clock', {}],
    ['/steering/spent', { units: '7' }],
    ['/steering/erase', { kind: 'thirdPartyId', id: '1', sure: '1' }],
    ['/dead/plan', { set: 'all', action: 'drop' }],
    ['/dead/plans/0aaaaaaaaaaaa/run', {}],
    ['/dead/plans/0aaaaaaaaaaaa/cancel', {}],
    ['/dead/letter/d1/0-0/reveal', {}],
    ['/sources/shop/try', { event: '{}' }],
  ]

  it.each(acts)('cannot POST %s', async (path, fields) => {
    const relay = await relayOf()
    const answer = await relay.post(`/admin${path}`, { token: await relay.tokenFor(asViewer), ...fields }, asViewer)
    expect(answer.status).toBe(403)
    expect(await relay.acts()).toEqual([])
  })

  it('sees no button but those that look', async () => {
    const { get } = await relayOf()
    for (const path of pages) {
      const page = await (await get(`/admin${path}`, asViewer)).text()
      const targets = [...page.matchAll(/<form method="post" action="([^"]+)"/g)].map(([, to]) => to)
      expect(
        targets.filter((to) => !/^(\.\/|\.\.\/|admin\/)*(visitor|dead\/visitor)$/.test(to ?? '')),
        path,
      ).toEqual([])
    }
  })

  it('finds a visitor, without values', async () => {
    const relay = await relayOf({
      target: (url) =>
        url.includes('/rest/v1/profiles/')
          ? Response.json({
              profileAttributes: { tier: { value: 'gold-of-target', modifiedAt: '2026-11-24T10:00:00Z' } },
            })
          : new Response(null, { status: 500 }),
    })
    await relay.api('/v1/updates', {
      id: 'a',
      visitor: { thirdPartyId: 'v-1' },
      attributes: { tier: 'gold-that-waits' },
    })
    const fields = { kind: 'thirdPartyId', id: 'v-1', target: '1' }
    const seen = await (
      await relay.post('/admin/visitor', { token: await relay.tokenFor(asViewer), ...fields }, asViewer)
    ).text()
    expect(seen).toContain('tier')
    expect(seen).toContain('14 characters')
    expect(seen).not.toMatch(/gold-/)
    expect(await relay.acts()).toEqual([])
    const whole = await (await relay.post('/admin/visitor', { token: await relay.tokenFor(), ...fields })).text()
    expect(whole).toContain('gold-of-target')
    expect((await relay.acts()).map(({ what }) => what)).toEqual(['profile_reveal'])
  })
})

it('a page’s forms all have its token', async () => {
  const { get } = await relayOf()
  for (const path of pages) {
    const page = await (await get(`/admin${path}`)).text()
    const forms = page.split('<form method="post"').slice(1)
    for (const form of forms) expect(tokenIn(form.split('</form>')[0] ?? ''), path).toHaveLength(32)
  }
})
