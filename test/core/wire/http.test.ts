/** Target over HTTP: one request for each call, in time, and never to another address (G1). */
import { describe, expect, it } from 'vitest'
import type { Call } from '../../../src/core/wire/calls.ts'
import { type HttpTargetOptions, httpTarget } from '../../../src/core/wire/http.ts'
import { fakeClock, settleMicrotasks } from '../../support/clock.ts'

const url = 'https://demo.tt.omtrdc.net/m2/demo/profile/update'
const post: Call = { method: 'POST', url, body: 'mbox3rdPartyId=1&profile.a=b', bytes: 28, names: ['a'], units: 1 }
const yes = '<response><success>true</success></response>'

function targetWith(
  answer: (init: RequestInit) => Response | Promise<Response>,
  more: Partial<HttpTargetOptions> = {},
) {
  const clock = fakeClock()
  const requests: { url: string; init: RequestInit }[] = []
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    requests.push({ url: String(input), init })
    return answer(init)
  }
  return {
    clock,
    requests,
    target: httpTarget({ timeoutMs: 1_000, strict: true, fetch, clock, retentionMs: 86_400_000, ...more }),
  }
}

describe('a call', () => {
  it('is one request, sent as it was encoded, that follows no redirect', async () => {
    const { requests, target } = targetWith(() => new Response(yes), { token: 'secret' })
    expect(await target.send(post, Number.POSITIVE_INFINITY)).toEqual({ kind: 'delivered' })
    expect(requests).toMatchObject([{ url, init: { method: 'POST', body: post.body, redirect: 'manual' } }])
    expect(Object.fromEntries(new Headers(requests[0]?.init.headers))).toMatchObject({
      authorization: 'Bearer secret',
      'content-type': 'application/x-www-form-urlencoded',
    })
  })

  it('without a token carries none, and a GET no body', async () => {
    const { requests, target } = targetWith(() => new Response(yes))
    await target.send(
      { method: 'GET', url: `${url}?mbox3rdPartyId=1&profile.a=b`, bytes: 80, names: ['a'], units: 2 },
      Number.POSITIVE_INFINITY,
    )
    const headers = new Headers(requests[0]?.init.headers)
    expect([headers.has('authorization'), headers.has('content-type'), requests[0]?.init.body]).toEqual([
      false,
      false,
      undefined,
    ])
  })

  it('that is redirected is not repeated there', async () => {
    const { requests, target } = targetWith(
      () => new Response(null, { status: 302, headers: { location: 'https://elsewhere.example' } }),
    )
    expect(await target.send(post, Number.POSITIVE_INFINITY)).toEqual({ kind: 'misconfigured', status: 302 })
    expect(requests).toHaveLength(1)
  })

  it('that fails is not retried', async () => {
    const { requests, target } = targetWith(() => Promise.reject(new TypeError('fetch failed')))
    expect(await target.send(post, Number.POSITIVE_INFINITY)).toEqual({ kind: 'unanswered', why: 'network' })
    expect(requests).toHaveLength(1)
  })
})

describe('the time-out', () => {
  const aborted = ({ signal }: RequestInit) =>
    new Promise<never>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)))

  it('ends a call that gets no answer', async () => {
    const { clock, target } = targetWith(aborted)
    const answer = target.send(post, Number.POSITIVE_INFINITY)
    await clock.advance(1_000)
    expect(await answer).toEqual({ kind: 'unanswered', why: 'timeout' })
  })

  it('ends a call whose answer begins and then stalls', async () => {
    const stalled = (init: RequestInit) =>
      new Response(
        new ReadableStream({
          start: (controller) => {
            controller.enqueue(new TextEncoder().encode('<response>'))
            init.signal?.addEventListener('abort', () => controller.error(init.signal?.reason))
          },
        }),
      )
    const { clock, target } = targetWith(stalled)
    let answer: unknown
    void target.send(post, Number.POSITIVE_INFINITY).then((some) => (answer = some))
    await clock.advance(999)
    expect(answer).toBeUndefined()
    await clock.advance(1)
    expect(answer).toEqual({ kind: 'unanswered', why: 'timeout' })
  })

  it('does not end a call that was answered in time', async () => {
    let signal: AbortSignal | null | undefined
    const { clock, target } = targetWith((init) => {
      signal = init.signal
      return new Response(yes)
    })
    await target.send(post, Number.POSITIVE_INFINITY)
    await clock.advance(5_000)
    await settleMicrotasks()
    expect(signal?.aborted).toBe(false)
  })
})

it('only the beginning of an endless answer is read', async () => {
  let pulled = 0
  let cancelled = false
  const endless = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          pulled++
          controller.enqueue(new TextEncoder().encode(pulled === 1 ? yes : 'x'.repeat(1_000)))
        },
        cancel: () => {
          cancelled = true
        },
      }),
    )
  const { target } = targetWith(endless)
  expect(await target.send(post, Number.POSITIVE_INFINITY)).toEqual({ kind: 'delivered' })
  expect(cancelled).toBe(true)
  expect(pulled).toBeLessThan(10)
})
