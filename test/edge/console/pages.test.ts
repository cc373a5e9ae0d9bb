/** The console's pages: what they say, that texts stay texts, that links lead somewhere, and how large they get. */
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { bearer } from '../../../src/edge/auth/index.ts'
import { source } from '../../../src/edge/source/source.ts'
import { accepted, asAdmin, asViewer, linksIn, origin, pages, relayOf, shop } from './browser.ts'

const markup = `"'><img src=x onerror=alert(1)><script>alert(1)</script>&amp;</textarea></style>`
const update = (id: string, who: string, attributes: object) => ({ id, visitor: { thirdPartyId: who }, attributes })
const xml = { '&': '&amp;', '<': '&lt;', '>': '&gt;' } as const
const refusal = (message: string) => () =>
  new Response(
    `<profileUpdateResponse><success>false</success><message>${message.replace(/[<>&]/g, (one) => xml[one as '<'])}</message></profileUpdateResponse>`,
    { headers: { 'content-type': 'application/xml' } },
  )

async function keysOf(relay: Awaited<ReturnType<typeof relayOf>>): Promise<readonly string[]> {
  const { letters } = (await (await relay.api('/admin/api/dead')).json()) as { letters: { key: string }[] }
  return letters.map(({ key }) => key)
}

/** Nothing of `markup` may have become an element. */
function expectText(page: string, where: string): void {
  expect(page, where).not.toMatch(/<img|<script|onerror=alert\(1\)>/)
}

describe('hostile texts', () => {
  it('from Target, mappings, senders and addresses are shown as text', async () => {
    const throwing = source('throwing', {
      auth: bearer(),
      schema: z.object({ who: z.string() }).refine(() => false, { message: markup }),
      acceptsCopies: true,
      map: () => null,
    })
    let says = accepted as () => Response
    const relay = await relayOf({ target: () => says(), sources: [shop, throwing] })
    await relay.api('/v1/updates', update('first', 'v-0', { tier: 'x' }))
    says = refusal(markup)
    await relay.api(
      '/v1/updates',
      update('e', markup.slice(0, 40).replaceAll('+', '').replaceAll('/', ''), {
        [`n${markup.replace(/[^<>"'=]/g, '')}`]: markup,
        tier: markup,
      }),
    )
    await relay.hook(JSON.stringify({ order: markup, who: 7 }))
    await relay.settled()
    const keys = await keysOf(relay)
    expect(keys.length).toBeGreaterThan(0)
    const token = await relay.tokenFor()
    const hostile = encodeURIComponent(markup)
    for (const path of [
      ...pages,
      ...keys.map((key) => `/dead/letter/${key}`),
      `/dead?reason=${hostile}`,
      `/dead?source=${hostile}&visitor=${'a'.repeat(32)}`,
      `/dead?before=${hostile}`,
      `/dead?cursor=${hostile}`,
      `/steering?did=${hostile}&from=${hostile}`,
      `/dead/plans/${hostile}`,
      `/sources/${hostile}`,
    ])
      expectText(await (await relay.get(`/admin${path}`)).text(), path)
    // The relay reads Target's message as it stands, entities and all.
    const refused = (await (await relay.api('/admin/api/dead?reason=rejected')).json()) as {
      letters: { key: string }[]
    }
    for (const path of ['/dead', `/dead/letter/${refused.letters[0]?.key}`])
      expect(await (await relay.get(`/admin${path}`)).text(), path).toContain('&amp;lt;script&amp;gt;')
    for (const key of keys)
      expectText(await (await relay.post(`/admin/dead/letter/${key}/reveal`, { token })).text(), 'reveal')
    for (const event of [
      markup,
      JSON.stringify({ order: markup, who: 'x', at: markup }),
      JSON.stringify({ order: markup, who: 'x', at: '2026-11-24T10:00:00Z' }),
    ]) {
      const page = await (await relay.post('/admin/sources/shop/try', { token, event })).text()
      expectText(page, 'try')
    }
    expectText(
      await (await relay.post('/admin/sources/throwing/try', { token, event: '{"who":"x"}' })).text(),
      'throwing',
    )
    expectText(await (await relay.post('/admin/visitor', { token, kind: markup, id: markup })).text(), 'visitor')
    expectText(
      await (await relay.post('/admin/dead/plan', { token, action: markup, set: markup, key: markup })).text(),
      'plan',
    )
    expectText(await (await relay.post('/admin/steering/spent', { token, units: markup })).text(), 'spent')
    expectText(await (await relay.post(`/admin/steering/${hostile}`, { token })).text(), 'act')
  })

  it('of Target’s profile are shown as text', async () => {
    const relay = await relayOf({
      target: (url) =>
        url.includes('/rest/')
          ? Response.json({
              profileAttributes: {
                [markup]: { value: markup, modifiedAt: markup },
                tier: { value: markup, modifiedAt: markup },
              },
            })
          : accepted(),
    })
    await relay.api('/v1/updates', update('e', 'v', { tier: 'x' }))
    await relay.settled()
    const page = await (
      await relay.post('/admin/visitor', { token: await relay.tokenFor(), kind: 'thirdPartyId', id: 'v', target: '1' })
    ).text()
    expectText(page, 'visitor')
    expect(page).toContain('&lt;script&gt;')
  })
})

describe('pages', () => {
  it.each(['/admin', '/admin/', '/relay/admin', '/relay/admin/'])(
    'mounted at %s lead to pages that are there',
    async (start) => {
      const { relay, hook } = await relayOf()
      await hook('{"no":"order"}')
      const outer = new Hono({ strict: !start.endsWith('/') }).route('/relay', relay.app).route('/', relay.app)
      const prefix = start.replace(/\/$/, '')
      const seen = new Set<string>()
      const todo = [`${origin}${start}`]
      for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
        if (seen.has(at)) continue
        seen.add(at)
        const answer = await outer.fetch(new Request(at, { headers: asAdmin }))
        // Forms that are only sent by POST have no page of their own.
        if (answer.status === 404 && /\/(plan|reveal|try|dead\/visitor|steering\/\w+)$/.test(at)) continue
        expect(answer.status, at).toBe(200)
        expect(at.startsWith(`${origin}${prefix}`), at).toBe(true)
        if (answer.headers.get('content-type')?.startsWith('text/html') === true)
          todo.push(...linksIn(await answer.text(), at).map((link) => link.split('#')[0] ?? ''))
      }
      expect([...seen].map((at) => at.slice(origin.length + prefix.length).replace(/^\//, ''))).toEqual(
        expect.arrayContaining(['visitor', 'dead', 'sources', 'sources/shop', 'steering', 'console.css', 'icon.svg']),
      )
    },
  )

  it('stay under 60 KB, whatever there is', async () => {
    const many = Array.from({ length: 40 }, (_, n) =>
      source(`shop-${n}`, {
        auth: bearer(),
        schema: z.object({ who: z.string() }),
        acceptsCopies: true,
        map: ({ who }) => ({ visitor: { thirdPartyId: who }, attributes: { who } }),
      }),
    )
    const nowMs = Date.parse('2026-11-24T10:00:00Z')
    let says: () => Response = accepted
    const relay = await relayOf({
      sources: [...many, shop],
      target: () => says(),
      clock: { now: () => nowMs, elapsed: () => nowMs },
    })
    await relay.api('/v1/updates', update('first', 'v-0', { tier: 'x' }))
    says = refusal('x'.repeat(2_000))
    for (let n = 0; n < 60; n++)
      await relay.api(
        '/v1/updates',
        update(
          `e${n}`,
          'v-1',
          Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`a-name-of-some-length-${at}`, `${n}`])),
        ),
      )
    await relay.settled()
    await relay.api('/admin/api/pause', {})
    for (let n = 0; n < 120; n++)
      await relay.api(
        '/v1/updates',
        update(
          `w${n}`,
          'v-1',
          Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`a-name-of-some-length-${at}`, `${n}`])),
        ),
      )
    await relay.settled()
    const sizes: Record<string, number> = {}
    for (const path of pages) sizes[path] = (await (await relay.get(`/admin${path}`)).arrayBuffer()).byteLength
    sizes['found'] = (
      await (
        await relay.post('/admin/visitor', { token: await relay.tokenFor(), kind: 'thirdPartyId', id: 'v-1' })
      ).arrayBuffer()
    ).byteLength
    expect(Object.entries(sizes).filter(([, bytes]) => bytes > 60_000)).toEqual([])
  })

  it('say that the ledger does not answer, and that nothing is lost', async () => {
    const relay = await relayOf({
      settings: { UPSTASH_REDIS_REST_URL: 'http://127.0.0.1:1', UPSTASH_REDIS_REST_TOKEN: 'x' },
    })
    const answer = await relay.get('/admin')
    expect(answer.status).toBe(200)
    expect(await answer.text()).toMatch(/The ledger does not answer: nothing is sent.*Nothing is lost/)
    for (const path of ['/dead', '/steering']) expect((await relay.get(`/admin${path}`)).status).toBeLessThan(504)
  })

  it('mask a letter until it is asked for; what it holds then is on record (G8, G9)', async () => {
    const relay = await relayOf()
    await relay.hook('{"secret":"of a visitor"}')
    await relay.settled()
    const [key = ''] = await keysOf(relay)
    for (const who of [asAdmin, asViewer]) {
      const page = await (await relay.get(`/admin/dead/letter/${key}`, who)).text()
      expect(page).toContain('25 characters')
      expect(page).not.toContain('of a visitor')
    }
    const revealed = await (
      await relay.post(`/admin/dead/letter/${key}/reveal`, { token: await relay.tokenFor() })
    ).text()
    expect(revealed).toContain('of a visitor')
    expect((await relay.acts()).map(({ what }) => what)).toEqual(['dead_reveal'])
  })
})

describe('a plan', () => {
  it('is shown before anything happens, done where it is said so, and seen to its end', async () => {
    const relay = await relayOf()
    for (let n = 0; n < 3; n++) await relay.hook(JSON.stringify({ bad: n }))
    await relay.settled()
    const keys = await keysOf(relay)
    const token = await relay.tokenFor()
    const made = await relay.post('/admin/dead/plan', { token, set: 'some', key: keys.slice(0, 2), action: 'drop' })
    const at = new URL(made.headers.get('location') ?? '', `${origin}/admin/dead/plan`)
    expect([made.status, at.pathname]).toEqual([303, expect.stringMatching(/^\/admin\/dead\/plans\/\d[0-9a-f]{12}$/)])
    expect(await (await relay.get(at.pathname)).text()).toMatch(/Nothing is done yet[\s\S]*Do it: remove 2/)
    expect(await keysOf(relay)).toHaveLength(3)
    expect((await relay.post(`${at.pathname}/run`, { token })).status).toBe(303)
    expect(await (await relay.get(at.pathname)).text()).toMatch(/It is done: 2 went, 0 stay/)
    expect(await keysOf(relay)).toEqual([keys[2]])
  })

  it('for all that fit takes the filter and not the page', async () => {
    let says: () => Response = accepted
    const relay = await relayOf({ target: () => says() })
    await relay.api('/v1/updates', update('first', 'v-0', { tier: 'x' }))
    for (let n = 0; n < 3; n++) await relay.hook(JSON.stringify({ bad: n }))
    says = refusal('no')
    await relay.api('/v1/updates', update('second', 'v-1', { tier: 'x' }))
    await relay.settled()
    const token = await relay.tokenFor()
    const made = await relay.post('/admin/dead/plan', {
      token,
      set: 'all',
      reason: 'unmappable',
      source: 'shop',
      before: '',
      visitor: '',
      action: 'drop',
    })
    const { pathname } = new URL(made.headers.get('location') ?? '', `${origin}/admin/dead/plan`)
    expect(await (await relay.get(pathname)).text()).toContain('Do it: remove 3')
    expect((await relay.post(`${pathname}/cancel`, { token })).status).toBe(303)
    expect(await (await relay.get(pathname)).text()).toContain('It was ended')
    expect(await keysOf(relay)).toHaveLength(4)
  })

  it('to map again shows before and after, masked', async () => {
    let good = false
    const mended = source('shop', {
      auth: bearer(),
      schema: z.object({ who: z.string() }).refine(() => good, { message: 'is not known yet' }),
      acceptsCopies: true,
      map: ({ who }) => ({ visitor: { thirdPartyId: who }, attributes: { colour: 'a-secret-red' } }),
    })
    const relay = await relayOf({ sources: [mended] })
    await relay.hook('{"who":"c-1"}')
    await relay.settled()
    good = true
    const made = await relay.post('/admin/dead/plan', { token: await relay.tokenFor(), set: 'all', action: 'remap' })
    const at = new URL(made.headers.get('location') ?? '', `${origin}/admin/dead/plan`)
    const page = await (await relay.get(at.pathname + at.search)).text()
    expect(page).toMatch(/Before[\s\S]*refused by its schema[\s\S]*After[\s\S]*It would give 1 update[\s\S]*colour/)
    expect(page).not.toContain('a-secret-red')
  })

  it('of nothing is refused in words', async () => {
    const relay = await relayOf()
    const answer = await relay.post('/admin/dead/plan', { token: await relay.tokenFor(), set: 'some', action: 'drop' })
    expect(answer.status).toBe(422)
    expect(await answer.text()).toMatch(/Nothing was done/)
  })
})

describe('steering', () => {
  it('erases only where one is sure, and says what was removed', async () => {
    const relay = await relayOf({ target: () => new Response(null, { status: 500 }) })
    await relay.api('/v1/updates', update('a', 'v-1', { tier: 'x' }))
    await relay.settled()
    const token = await relay.tokenFor()
    const fields = { token, kind: 'thirdPartyId', id: 'v-1' }
    expect((await relay.post('/admin/steering/erase', fields)).status).toBe(422)
    const answer = await relay.post('/admin/steering/erase', { ...fields, sure: '1' })
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('The visitor is erased')])
    expect((await relay.acts()).map(({ what }) => what)).toEqual(['erase_done', 'erase'])
  })

  it('notes what was spent, and refuses what is no number', async () => {
    const relay = await relayOf()
    const token = await relay.tokenFor()
    expect((await relay.post('/admin/steering/spent', { token, units: 'many' })).status).toBe(422)
    expect((await relay.post('/admin/steering/spent', { token, units: '400' })).status).toBe(303)
    expect((await relay.relay.operator.usage()).used).toBe(400)
  })
})

describe('a source', () => {
  it('shows what its sample and a pasted event would do; nothing is sent or kept', async () => {
    const calls: string[] = []
    const relay = await relayOf({ target: (url) => (calls.push(url) > 0 ? accepted() : accepted()) })
    expect(await (await relay.get('/admin/sources/shop')).text()).toMatch(
      /Its sample[\s\S]*It would give 1 update[\s\S]*mbox3rdPartyId=c-1/,
    )
    const token = await relay.tokenFor()
    const event = JSON.stringify({ order: 'o-9', who: 'c-9', at: new Date() })
    expect(await (await relay.post('/admin/sources/shop/try', { token, event })).text()).toContain('mbox3rdPartyId=c-9')
    expect(await (await relay.post('/admin/sources/shop/try', { token, event: '{' })).text()).toContain(
      'cannot be mapped',
    )
    expect(calls).toEqual([])
    expect(await relay.acts()).toEqual([])
    expect(await keysOf(relay)).toEqual([])
  })

  it('says why its sender was not authenticated', async () => {
    const relay = await relayOf()
    await relay.relay.app.fetch(
      new Request(`${origin}/hooks/shop`, { method: 'POST', headers: { authorization: 'Bearer wrong' }, body: '{}' }),
    )
    await relay.settled()
    expect(await (await relay.get('/admin/sources/shop')).text()).toMatch(/mismatch[\s\S]*no secret fits/)
  })
})
