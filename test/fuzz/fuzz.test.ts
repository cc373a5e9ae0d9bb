/** A short `npm run fuzz`, always with the same seed, so that a failure does not hit an unrelated change. */
import { describe, expect, it } from 'vitest'
import { faultOf } from './answers.ts'
import { fuzzApp } from './app.ts'
import { fuzzFiles } from './files.ts'
import { fuzzSenderServer } from './sender-server.ts'
import { fuzzSenders } from './senders.ts'
import { fuzzServer } from './server.ts'

describe('the fuzz', () => {
  it.each([
    [
      'requests at the app',
      fuzzApp,
      2_000,
      ['200', '202', '401 unauthenticated', '404 not-found', '405 method-not-allowed', '422 invalid'],
    ],
    ['files through send and map', fuzzFiles, 250, ['send 0', 'send 1', 'send 2', 'map 0', 'map 1']],
    ['requests of senders, changed', fuzzSenders, 600, ['200', '401', '405']],
    ['bytes at a server', fuzzServer, 40, ['200', '400']],
    [
      'bytes of senders and intruders at a server',
      fuzzSenderServer,
      150,
      ['event 200', 'event 202', 'greeting 200', 'forgery 401 unauthenticated', 'bytes 200', 'bytes 400'],
    ],
  ] as const)('%s: every answer is documented', { timeout: 120_000 }, async (_, fuzz, runs, met) => {
    const report = await fuzz({ seed: 1, runs })
    expect(report.faults).toEqual([])
    expect(Object.keys(report.answers), 'the fuzz must reach all of these answers').toEqual(
      expect.arrayContaining([...met]),
    )
  })

  it.each([
    ['an internal error', 500, 'application/problem+json', '{"type":"/problems/internal","title":"x","status":500}'],
    ['an undocumented problem', 400, 'application/problem+json', '{"type":"/problems/odd","title":"x","status":400}'],
    [
      'a problem with another status',
      400,
      'application/problem+json',
      '{"type":"/problems/too-large","title":"x","status":400}',
    ],
    ['a result with another status', 200, 'application/json', '{"status":"deferred"}'],
    ['a stack trace', 200, 'text/plain', 'Error: x'],
  ])('reports %s as a fault', (_, status, type, text) => {
    const headers = new Headers({
      'content-type': type,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    expect(faultOf('POST', '/hooks/stripe', { status, headers, text })).toEqual(expect.any(String))
  })
})
