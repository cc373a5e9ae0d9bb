/** What Target holds of a visitor: one GET, bounded, and never an error. */
import { expect, it } from 'vitest'
import { createFetchProfile } from '../../../src/core/wire/profile.ts'
import { systemClock } from '../../../src/relay/runtime.ts'

function profileOf(
  answer: (url: string, init?: RequestInit) => Response | Promise<Response>,
  more: { token?: string; timeoutMs?: number } = {},
) {
  return createFetchProfile({
    origin: 'https://demo.tt.omtrdc.net',
    clientCode: 'demo',
    timeoutMs: 1_000,
    clock: systemClock,
    fetch: async (url, init) => answer(String(url), init),
    ...more,
  })
}

it('asks by the kind of id, with the token, following no redirect', async () => {
  const asked: [string, RequestInit | undefined][] = []
  const profile = profileOf(
    (url, init) => {
      asked.push([url, init])
      return Response.json({
        profileAttributes: {
          tier: { value: 'gold', modifiedAt: '2026-11-24T10:00:00Z' },
          n: { value: 7 },
          odd: 'text',
        },
      })
    },
    { token: 'a-token' },
  )
  expect(await profile({ thirdPartyId: 'a b' })).toEqual({
    kind: 'found',
    attributes: [
      { name: 'tier', value: 'gold', modifiedAt: '2026-11-24T10:00:00Z' },
      { name: 'n', value: '7' },
    ],
  })
  await profile({ pcId: '1.2_3' })
  expect(asked.map(([url]) => url)).toEqual([
    'https://demo.tt.omtrdc.net/rest/v1/profiles/thirdPartyId/a%20b?client=demo',
    'https://demo.tt.omtrdc.net/rest/v1/profiles/1.2_3?client=demo',
  ])
  expect(asked[0]?.[1]).toMatchObject({ redirect: 'manual', headers: { authorization: 'Bearer a-token' } })
})

it.each<[string, () => Response | Promise<Response>, object]>([
  ['an unknown profile', () => new Response('{}', { status: 404 }), { kind: 'unknown' }],
  ['a token that is not taken', () => new Response('', { status: 403 }), { kind: 'denied' }],
  [
    'a redirect',
    () => new Response(null, { status: 302, headers: { location: 'https://elsewhere.example' } }),
    { kind: 'failed', status: 302 },
  ],
  ['an error', () => new Response('', { status: 500 }), { kind: 'failed', status: 500 }],
  ['a page', () => new Response('<html>'), { kind: 'failed', status: 200 }],
  ['a list', () => Response.json({ profileAttributes: 'none' }), { kind: 'failed', status: 200 }],
  ['no attributes', () => Response.json({ visitorId: {} }), { kind: 'found', attributes: [] }],
  ['no network', () => Promise.reject(new TypeError('no network')), { kind: 'failed' }],
])('%s is an answer', async (_, answer, said) => {
  expect(await profileOf(answer)({ thirdPartyId: '1' })).toEqual(said)
})

it('silence ends with the time-out', async () => {
  const profile = profileOf(
    (_, init) =>
      new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted')))),
    { timeoutMs: 20 },
  )
  expect(await profile({ thirdPartyId: '1' })).toEqual({ kind: 'failed' })
})

it('reads no more than a profile can have', async () => {
  let pulled = 0
  const endless = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          pulled++
          controller.enqueue(new TextEncoder().encode(' '.repeat(65_536)))
        },
      }),
    )
  expect(await profileOf(endless)({ thirdPartyId: '1' })).toEqual({ kind: 'failed', status: 200 })
  expect(pulled).toBeLessThan(30)
})
