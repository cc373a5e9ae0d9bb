/** Target over HTTP: what a failed fetch means, and how much of an answer is read. */
import { describe, expect, it } from 'vitest'
import type { Call } from '../../../src/core/wire/calls.ts'
import { httpTarget } from '../../../src/core/wire/http.ts'
import { fakeClock } from '../../support/clock.ts'

const call: Call = {
  method: 'POST',
  url: 'https://demo.tt.omtrdc.net/m2/demo/profile/update',
  body: 'a=b',
  bytes: 3,
  names: ['a'],
  units: 1,
}
const targetOf = (fetch: () => Promise<Response>) =>
  httpTarget({ timeoutMs: 5_000, strict: true, fetch, clock: fakeClock(), retentionMs: 72 * 3_600_000 })

describe('a fetch that fails', () => {
  it.each([
    'Too many subrequests.',
    'Too many subrequests by single Worker invocation.',
    'Too many API requests by single Worker invocation.',
  ])('because of the platform’s limit did not start a call: %s', async (message) => {
    expect(await targetOf(() => Promise.reject(new Error(message))).send(call, Number.POSITIVE_INFINITY)).toEqual({
      kind: 'unsent',
      why: 'limit',
    })
    const wrapped = new TypeError('fetch failed', { cause: new Error(message) })
    expect(await targetOf(() => Promise.reject(wrapped)).send(call, Number.POSITIVE_INFINITY)).toEqual({
      kind: 'unsent',
      why: 'limit',
    })
  })

  it('for any other reason may have reached Target', async () => {
    expect(
      await targetOf(() => Promise.reject(new TypeError('fetch failed'))).send(call, Number.POSITIVE_INFINITY),
    ).toEqual({
      kind: 'unanswered',
      why: 'network',
    })
  })

  it('while its answer is read counts as a call, whatever the error says', async () => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error('Too many subrequests.')) })
    expect(await targetOf(async () => new Response(body)).send(call, Number.POSITIVE_INFINITY)).toEqual({
      kind: 'unanswered',
      why: 'network',
    })
  })
})

it('only the beginning of an endless answer is read, then it is cancelled', async () => {
  let [given, cancelled] = [0, false]
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      given += 1_024
      if (given > 1_000_000) controller.close()
      else controller.enqueue(new TextEncoder().encode('<response><success>true</success></response>'.padEnd(1_024)))
    },
    cancel: () => {
      cancelled = true
    },
  })
  expect(await targetOf(async () => new Response(body)).send(call, Number.POSITIVE_INFINITY)).toEqual({
    kind: 'delivered',
  })
  expect([cancelled, given <= 8_192]).toEqual([true, true])
})
