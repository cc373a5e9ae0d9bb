/** A slow ledger: an admission that its caller gave up spends nothing in the end. */
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { withDeadline } from '../../../src/core/ledger/deadline.ts'
import { ClockJumped, LedgerLost } from '../../../src/core/ledger/errors.ts'
import type { Ledger } from '../../../src/core/ledger/port.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { systemClock } from '../../../src/relay/runtime.ts'
import { contractSettings } from '../../contract/ledger.ts'
import { fakeClock } from '../../support/clock.ts'
import { sqlWatched, upstashWatched } from '../../support/ledger.ts'
import { startUpstashStandIn } from '../../support/upstash-stand-in.ts'

function slow(lateMs: () => number) {
  const clock = fakeClock()
  const ledger = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), contractSettings, { now: clock.now })
  const behind: Promise<unknown>[] = []
  const logged: string[] = []
  const late: Ledger = {
    ...ledger,
    admit: async (...asked) => {
      const answer = await ledger.admit(...asked)
      await clock.after(lateMs()).elapsed
      return answer
    },
  }
  const hurried = withDeadline(late, 800, clock, {
    background: (work) => behind.push(work),
    log: (event, details) => logged.push(`${event} ${JSON.stringify(details)}`),
  })
  const request = (token: string, stampMs = clock.now()) => ({
    visitorHash: 'v',
    attributes: ['tier', 'score'].map((name) => ({ name, stamp: makeStamp(stampMs, stampMs, '0'.repeat(16)) })),
    units: 3,
    token,
    source: { name: 'kiosk', units: 100 },
  })
  return { clock, ledger, hurried, behind, logged, request }
}

describe('an answer of the ledger that comes too late', () => {
  it('spends nothing in the end and blocks nobody (G1, G7)', async () => {
    const { clock, ledger, hurried, behind, logged, request } = slow(() => 1_000)
    for (let serial = 0; serial < 40; serial++) {
      const answer = hurried.admit([request(`token-${serial}`)], 'live')
      const given = expect(answer).rejects.toThrow('did not answer within 800 ms')
      // The in-memory ledger must be asked before the clock advances.
      await turn()
      await clock.advance(800)
      await given
      await clock.advance(200)
      await Promise.all(behind)
    }
    expect((await ledger.usage()).used).toBe(0)
    expect(logged).toHaveLength(40)
    expect(logged[0]).toBe('admission_cancelled {"units":3}')
    expect(await ledger.admit([request('next')], 'live')).toMatchObject([{ verdicts: ['send', 'send'] }])
  })

  it('reopens what was open below it (G3)', async () => {
    let lateMs = 0
    const { clock, ledger, hurried, behind, request } = slow(() => lateMs)
    const first = request('first')
    const admitted = hurried.admit([first], 'live')
    await turn()
    await clock.advance(1)
    expect(await admitted).toMatchObject([{ verdicts: ['send', 'send'] }])
    await clock.advance(contractSettings.inFlightMs + 1)
    lateMs = 1_000
    const given = expect(hurried.admit([request('second')], 'live')).rejects.toThrow()
    await turn()
    await clock.advance(1_000)
    await given
    await Promise.all(behind)
    expect((await ledger.visitor('v')).map(({ open }) => open)).toEqual([
      first.attributes[0]?.stamp,
      first.attributes[0]?.stamp,
    ])
  })

  it('is not cancelled if it admitted nothing, and the name of a late error is logged', async () => {
    const { clock, ledger, hurried, behind, logged, request } = slow(() => 1_000)
    await ledger.pause(true)
    const paused = expect(hurried.admit([request('paused')], 'live')).rejects.toThrow('800 ms')
    await turn()
    await clock.advance(1_000)
    await paused
    await Promise.all(behind)
    expect(logged).toEqual([])
    const failing = withDeadline(
      {
        ...ledger,
        admit: () => clock.after(900).elapsed.then(() => Promise.reject(new RangeError('nobody@example.com'))),
      },
      800,
      clock,
      {
        background: (work) => behind.push(work),
        log: (event, details) => logged.push(`${event} ${JSON.stringify(details)}`),
      },
    )
    const given = expect(failing.admit([request('one')], 'live')).rejects.toThrow('800 ms')
    await clock.advance(1_000)
    await given
    await Promise.all(behind)
    expect(logged).toEqual(['late_admission_failed {"error":"RangeError"}'])
  })
})

describe('an admission that was given up', () => {
  const given = (cancel: Ledger['cancel'], error: unknown = new TypeError('fetch failed')) => {
    const { clock, ledger, behind, logged, request } = slow(() => 0)
    const lost = withDeadline({ ...ledger, admit: () => Promise.reject(error), cancel }, 800, clock, {
      background: (work) => behind.push(work),
      log: (event, details) => logged.push(`${event} ${JSON.stringify(details)}`),
    })
    return { clock, lost, behind, logged, request }
  }

  it('is cancelled at once if its answer was lost, and again while the ledger is silent; the name of an error is logged', async () => {
    const cancelled: (readonly string[])[] = []
    const { clock, lost, behind, logged, request } = given(async (requests) => {
      cancelled.push(requests.map(({ token }) => token))
      throw new RangeError('nobody@example.com')
    })
    await expect(lost.admit([request('one'), request('two')], 'live')).rejects.toThrow('fetch failed')
    await turn()
    expect(cancelled).toEqual([['one', 'two']])
    for (let second = 0; second < 10; second++) await clock.advance(1_000)
    await Promise.all(behind)
    expect(cancelled).toHaveLength(3)
    expect(logged).toEqual(['admission_not_cancelled {"tries":3,"error":"RangeError"}'])
  })

  it('is not cancelled if the ledger said that it admits nothing', async () => {
    for (const error of [new ClockJumped(1), new LedgerLost('its epoch')]) {
      const { lost, behind, request } = given(() => Promise.reject(new Error('asked')), error)
      await expect(lost.admit([request('one')], 'live')).rejects.toBe(error)
      expect(behind).toEqual([])
    }
  })

  it.each(['lose_reply', 'cut_reply', 'first_only'] as const)('costs nothing on Redis: %s (G1, G7)', async (kind) => {
    await using standIn = await startUpstashStandIn()
    const behind: Promise<unknown>[] = []
    const ledger = upstashWatched({
      url: standIn.url,
      token: standIn.token,
      settings: contractSettings,
      timeoutMs: 5_000,
    })
    const hurried = withDeadline(ledger, 2_000, systemClock, { background: (work) => behind.push(work), log: () => {} })
    const nowMs = systemClock.now()
    const request = (token: string) => ({
      visitorHash: token,
      attributes: [{ name: 'tier', stamp: makeStamp(nowMs, nowMs, '0'.repeat(16)) }],
      units: 3,
      token,
      source: { name: 'kiosk', units: 100 },
    })
    // Redis must know the scripts, or it could not run half of a pipeline.
    await hurried.admit([request('warm')], 'live')
    for (let serial = 0; serial < 5; serial++) {
      standIn.fault = { kind }
      await expect(hurried.admit([request(`token-${serial}`)], 'live')).rejects.toThrow()
      standIn.fault = undefined
      await Promise.all(behind)
      expect((await ledger.usage()).used).toBe(3)
    }
    expect(await hurried.admit([request('next')], 'live')).toMatchObject([{ verdicts: ['send'] }])
    expect((await ledger.usage()).used).toBe(6)
  })
})
