/** How the relay's answers set the pace of `send`, without real waiting. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { Batches, type ReadyRow } from '../../src/cli/batches.ts'

type Answer = readonly [status: number, body: unknown, headers?: Record<string, string>]
const all =
  (status: string, reason?: string) =>
  (updates: readonly unknown[]): Answer => [
    status === 'deferred' ? 202 : 200,
    { results: updates.map(() => ({ status, ...(reason === undefined ? {} : { reason }) })) },
  ]
const row = (line: number, visitor = String(line)): ReadyRow => ({ line, visitor, update: { id: `e${line}` } })

/** A relay that gives these answers one after the other, and the last one for ever. */
async function relay(answers: readonly ((updates: readonly unknown[]) => Answer)[]) {
  const received: unknown[][] = []
  const slept: number[] = []
  let nowMs = 0
  const refused: [number, string][] = []
  let [now, most] = [0, 0]
  const server = createServer(async (request, response) => {
    most = Math.max(most, ++now)
    let text = ''
    for await (const part of request) text += String(part)
    const { updates } = JSON.parse(text) as { updates: unknown[] }
    const [status, body, headers = {}] = (answers[received.length] ?? answers.at(-1) ?? all('submitted'))(updates)
    received.push(updates)
    setTimeout(() => {
      now--
      response.writeHead(status, headers).end(JSON.stringify(body))
    }, 5)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stopping = new AbortController()
  const batches = new Batches({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/updates`,
    token: 'made-up',
    giveUpMs: 120_000,
    now: () => nowMs,
    stopping: stopping.signal,
    sleep: async (ms) => {
      slept.push(ms)
      nowMs += ms
      // A relay that never comes back is not retried for ever.
      if (slept.length > 50) stopping.abort()
    },
    onRefused: (line, message) => refused.push([line, message]),
    onTaken: () => {},
  })
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { batches, received, slept, refused, most: () => most, [Symbol.dispose]: close }
}

describe('the pace', () => {
  it('grows while everything is accepted', async () => {
    using made = await relay([all('submitted')])
    for (let line = 1; line <= 40; line++) await made.batches.start([row(line)])
    await made.batches.over()
    expect([made.slept, made.batches.counts]).toEqual([[], { submitted: 40 }])
    expect(made.most()).toBeGreaterThan(2)
    expect(made.most()).toBeLessThanOrEqual(8)
  })

  it.each(['quota', 'paused', 'target_unavailable', 'ledger_unavailable', 'slow'])(
    'a batch that was deferred (%s) is followed by a wait, doubling up to a minute',
    async (reason) => {
      using made = await relay([all('deferred', reason)])
      for (let line = 1; line <= 9; line++) {
        await made.batches.start([row(line)])
        await made.batches.over()
      }
      expect(made.slept).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
    },
  )

  it('is one batch at a time while deferred, and recovers at once when a batch is accepted', async () => {
    using made = await relay([all('deferred', 'quota'), all('deferred', 'quota'), all('submitted')])
    for (let line = 1; line <= 3; line++) {
      await made.batches.start([row(line)])
      await made.batches.over()
    }
    expect([made.slept, made.batches.waitMs]).toEqual([[1_000, 2_000], 0])
  })

  it.each(['contended', 'delayed'])(
    'a deferral that concerns one update only (%s) does not slow the others',
    async (reason) => {
      using made = await relay([all('deferred', reason)])
      for (let line = 1; line <= 5; line++) {
        await made.batches.start([row(line)])
        await made.batches.over()
      }
      expect(made.slept).toEqual([])
    },
  )
})

describe('a batch', () => {
  it('is sent again under the same ids until it is accepted, and Retry-After is honoured', async () => {
    using made = await relay([
      () => [503, {}, { 'retry-after': '7' }],
      () => [500, {}],
      () => [409, {}],
      all('submitted'),
    ])
    await made.batches.start([row(1), row(2)])
    await made.batches.over()
    expect(made.slept).toEqual([7_000, 2_000, 4_000])
    expect(new Set(made.received.map((updates) => JSON.stringify(updates))).size).toBe(1)
    expect(made.batches.counts).toEqual({ submitted: 2 })
  })

  it('a Retry-After with a date is measured from the answer’s own Date, not from the local clock', async () => {
    const [date, later] = ['Fri, 27 Nov 2020 10:00:00 GMT', 'Fri, 27 Nov 2020 10:00:07 GMT']
    using made = await relay([() => [503, {}, { 'retry-after': later, date }], all('submitted')])
    await made.batches.start([row(1)])
    await made.batches.over()
    expect(made.slept).toEqual([7_000])
  })

  it('drops the rows that the relay refuses, reports their lines, and sends the rest', async () => {
    const refuse = (): Answer => [
      422,
      {
        errors: [
          { path: 'updates[1].visitor.pcId', message: 'is wrong' },
          { path: 'updates[1].id', message: 'too' },
        ],
      },
    ]
    using made = await relay([refuse, all('submitted')])
    await made.batches.start([row(7), row(8), row(9)])
    await made.batches.over()
    expect(made.refused).toEqual([[8, 'visitor.pcId is wrong']])
    expect(made.batches.counts).toEqual({ submitted: 2 })
    expect(made.received.at(-1)).toEqual([{ id: 'e7' }, { id: 'e9' }])
  })

  it('with a reused id counts the results of the others, and repeats only what the relay did not keep', async () => {
    const reused = (): Answer => [
      422,
      {
        errors: [{ path: 'updates[1].id', message: 'came before with other content' }],
        results: [{ status: 'submitted' }, { status: 'id_reused' }, { status: 'deferred', reason: 'contended' }],
      },
    ]
    using made = await relay([reused, all('submitted')])
    await made.batches.start([row(7), row(8), row(9)])
    await made.batches.over()
    expect(made.refused).toEqual([[8, 'id came before with other content']])
    expect(made.batches.counts).toEqual({ submitted: 1, deferred: 1 })
    expect(made.received).toHaveLength(1)
  })

  it.each<[string, (updates: readonly unknown[]) => Answer, RegExp]>([
    ['a token that is rejected', () => [401, {}], /API_TOKEN/],
    ['an answer of another server', () => [404, { title: 'There is nothing here' }], /404 There is nothing here/],
    ['a refusal that names no update', () => [422, { title: 'no' }], /422 no/],
    ['a relay that never comes back', () => [503, {}], /not there \(503\)/],
    ['an HTML page with status 200', () => [200, '<html>'], /no relay/],
    ['fewer results than updates', () => [200, { results: [] }], /no relay/],
    ['a result that is null', () => [200, { results: [null] }], /no relay/],
    [
      'a refusal of an update outside the batch',
      () => [422, { errors: [{ path: 'updates[5].id', message: 'no' }] }],
      /update 5 of a batch of 1/,
    ],
    ['a refusal without a list', () => [422, { errors: 7, title: 'no' }], /422 no/],
    [
      'a Retry-After longer than the longest wait',
      () => [503, {}, { 'retry-after': '9999999999' }],
      /left alone for 1666/,
    ],
    ['a date in the far future', () => [429, {}, { 'retry-after': 'Fri, 31 Dec 2199 23:59:59 GMT' }], /left alone for/],
    ['only results that acknowledge nothing', (updates) => all('unavailable')(updates), /not there \(200\)/],
  ])('ends the run: %s', async (_, answer, message) => {
    using made = await relay([answer])
    await made.batches.start([row(5)])
    await made.batches.over()
    expect(made.batches.failure?.message).toMatch(message)
    expect([made.batches.firstLeft, made.batches.counts]).toEqual([5, {}])
  })

  it('a wait is at least what the relay asks for, within the longest wait, and never zero', async () => {
    using made = await relay([
      () => [503, {}, { 'retry-after': '100' }],
      () => [503, {}, { 'retry-after': '-5' }],
      () => [503, {}],
    ])
    await made.batches.start([row(1)])
    await made.batches.over()
    expect(made.slept).toEqual([100_000, 2_000, 4_000, 8_000, 6_000])
    expect(made.batches.failure?.message).toMatch(/not there/)
  })

  it('repeats what the relay did not keep, and counts only what it acknowledged', async () => {
    const half = (updates: readonly unknown[]): Answer => [
      202,
      { results: updates.map((_, index) => ({ status: ['submitted', 'unavailable', 'in_flight'][index % 3] })) },
    ]
    using made = await relay([half, all('submitted')])
    await made.batches.start([row(1), row(2), row(3)])
    await made.batches.over()
    expect(made.received[1]).toEqual([row(2).update, row(3).update])
    expect([made.batches.counts, made.batches.failure]).toEqual([{ submitted: 3 }, undefined])
  })

  it('that is too large is halved; a row that is too large by itself is refused', async () => {
    const taken: unknown[] = []
    const limit = (updates: readonly unknown[]): Answer => {
      if (updates.length > 2 || JSON.stringify(updates).includes('e5')) return [413, {}]
      taken.push(...updates)
      return all('submitted')(updates)
    }
    using made = await relay([limit])
    await made.batches.start([1, 2, 3, 4, 5].map((line) => row(line)))
    await made.batches.over()
    expect([made.batches.counts, made.refused]).toEqual([{ submitted: 4 }, [[5, 'is larger than the relay takes']]])
    expect(taken).toEqual([1, 2, 3, 4].map((line) => ({ id: `e${line}` })))
  })

  it('waits for an earlier batch with the same visitor', async () => {
    using made = await relay([all('submitted')])
    await made.batches.start([row(1, 'v')])
    await made.batches.without('w')
    expect(made.received.length).toBe(0)
    await made.batches.without('v')
    expect(made.received.length).toBe(1)
  })
})
