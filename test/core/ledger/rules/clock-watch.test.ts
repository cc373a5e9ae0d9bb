/** Jumps of a clock that has a monotonic companion, in one process and in several on one store. */

import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { ClockJumped } from '../../../../src/core/ledger/errors.ts'
import { newEpochMemory } from '../../../../src/core/ledger/loss/epoch.ts'
import { watchClock } from '../../../../src/core/ledger/rules/clock-watch.ts'
import { sqlLedger } from '../../../../src/core/ledger/sql/ledger.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../../../src/core/update/stamp.ts'
import { contractSettings } from '../../../contract/ledger.ts'
import { memoryWitness, sqlWatched, watched } from '../../../support/ledger.ts'

const startMs = 1_790_000_000_000
const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** A clock that can be set, next to real time. */
function twoClocks() {
  const state = { trueMs: startMs, offMs: 0 }
  return { state, clock: { now: () => state.trueMs + state.offMs, elapsed: () => state.trueMs - startMs + 0.25 } }
}

describe('a clock with a monotonic companion', () => {
  const watching = () => {
    const { state, clock } = twoClocks()
    const watch = watchClock(clock)
    return { state, read: (seen = { seenMs: 0, confirms: 0 }) => watch(seen) }
  }

  it.each([5 * minuteMs, -5 * minuteMs])('is steady within the tolerance: %i', (offMs) => {
    const { state, read } = watching()
    state.offMs = offMs
    state.trueMs += 10 * hourMs
    expect(read()).toEqual({ nowMs: state.trueMs + offMs, clockMs: state.trueMs + offMs })
  })

  it.each([5 * minuteMs + 1, -5 * minuteMs - 1, 30 * hourMs])(
    'goes on by the time before the jump beyond it: %i',
    (offMs) => {
      const { state, read } = watching()
      state.trueMs += hourMs
      state.offMs = offMs
      expect(read()).toEqual({ nowMs: state.trueMs, clockMs: state.trueMs + offMs, jumpedByMs: offMs })
      state.trueMs += 5 * hourMs
      expect(read()).toMatchObject({ nowMs: state.trueMs, jumpedByMs: offMs })
      state.offMs = 0
      expect(read()).toEqual({ nowMs: state.trueMs, clockMs: state.trueMs })
    },
  )

  it('in a process that started while it was behind the latest time in the store, is steady once it is right', () => {
    const { state, clock } = twoClocks()
    state.offMs = -12 * hourMs
    const read = watchClock(clock)
    const seen = { seenMs: startMs, confirms: 0 }
    expect(read(seen)).toMatchObject({ nowMs: startMs, jumpedByMs: -12 * hourMs })
    state.trueMs += hourMs
    state.offMs = 0
    expect(read(seen)).toEqual({ nowMs: state.trueMs, clockMs: state.trueMs })
    // From then on it is watched.
    state.offMs = hourMs
    expect(read(seen)).toMatchObject({ nowMs: state.trueMs, jumpedByMs: hourMs })
  })

  it('a monotonic clock with a different rate does not add up to a jump', () => {
    const { state, read } = watching()
    for (let hour = 0; hour < 100; hour++) {
      state.trueMs += hourMs + 1
      state.offMs += minuteMs
      expect(read()).not.toHaveProperty('jumpedByMs')
    }
  })

  it('a time that an operator confirmed counts as right, even in a process that was not asked', () => {
    const { state, read } = watching()
    read({ seenMs: 0, confirms: 3 })
    state.offMs = hourMs
    expect(read({ seenMs: 0, confirms: 3 })).toMatchObject({ jumpedByMs: hourMs })
    expect(read({ seenMs: 0, confirms: 4 })).not.toHaveProperty('jumpedByMs')
    expect(read({ seenMs: 0, confirms: 4 })).toMatchObject({ nowMs: state.trueMs + hourMs })
    state.offMs = 0
    expect(read({ seenMs: 0, confirms: 4 })).toMatchObject({ jumpedByMs: -hourMs })
  })

  it('if it is behind the latest time in the store it has gone back, even if no process saw that', () => {
    const { read } = watching()
    expect(read({ seenMs: startMs + 5 * minuteMs, confirms: 0 })).not.toHaveProperty('jumpedByMs')
    const seenMs = startMs + 5 * minuteMs + 1
    expect(read({ seenMs, confirms: 0 })).toEqual({ nowMs: seenMs, clockMs: startMs, jumpedByMs: startMs - seenMs })
  })

  it('if it is behind the latest time in the store it has gone back, even if it kept within the tolerance of its own', () => {
    const { state, read } = watching()
    state.offMs = -4 * minuteMs
    const seenMs = startMs + minuteMs + 1
    expect(read({ seenMs, confirms: 0 })).toMatchObject({ nowMs: seenMs, jumpedByMs: -5 * minuteMs - 1 })
  })
})

describe('processes on one store', () => {
  const settings = { ...contractSettings, quotaLimit: 10, replayReserve: 0 }
  let serial = 0
  const request = (atMs: number) => ({
    visitorHash: `v${++serial}`,
    attributes: [{ name: 'tier', stamp: makeStamp(atMs, atMs, '0'.repeat(16)) }],
    units: 1,
    token: `token-${serial}`,
  })

  it('each stops at a jump forward, forgets nothing, records outcomes, and all go on once one is told that it is right', async () => {
    const { state, clock } = twoClocks()
    const database = new DatabaseSync(':memory:')
    const sql = nodeSqlite(database)
    const [one, other] = [sqlWatched(sql, settings, clock), sqlWatched(sql, settings, clock)]
    const sent = request(startMs)
    await one.admit([sent], 'live')
    await other.admit([request(startMs)], 'live')
    const rows = () => database.prepare('SELECT COUNT(*) AS n FROM relay_visitor').get()?.['n']
    state.offMs = 300 * 24 * hourMs
    for (const ledger of [one, other]) {
      await expect(ledger.admit([request(startMs)], 'live')).rejects.toThrow('clock')
      expect(await ledger.usage()).toMatchObject({ used: 2, clock: { jumpedByMs: state.offMs } })
    }
    await one.settle([
      { ...sent, attributes: sent.attributes.map((attribute) => ({ ...attribute, outcome: 'delivered' as const })) },
    ])
    expect(await one.visitor(sent.visitorHash)).toEqual([{ name: 'tier', done: sent.attributes[0]?.stamp }])
    expect(rows()).toBe(2)

    await one.confirmClock()
    state.trueMs += settings.longestInFlightMs + 1
    for (const ledger of [one, other])
      expect(await ledger.admit([request(clock.now())], 'live')).toMatchObject([{ verdicts: ['send'] }])
    expect(await other.summary()).not.toHaveProperty('clock')
  })

  it('an attempt made just before a jump forward blocks others until it has ended (G3)', async () => {
    const { state, clock } = twoClocks()
    const ledger = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, clock)
    const sent = request(startMs)
    await ledger.admit([sent], 'live')
    state.offMs = hourMs
    await ledger.confirmClock()
    state.trueMs += settings.longestInFlightMs
    const newer = { ...request(startMs + 1), visitorHash: sent.visitorHash }
    await expect(ledger.admit([newer], 'live')).rejects.toThrow('confirmed')
    state.trueMs += 1
    expect(await ledger.admit([newer], 'live')).toMatchObject([{ verdicts: ['send'] }])
  })

  it('confirming a jump forward frees no units: the clock may have been behind when they were granted (G1)', async () => {
    const { state, clock } = twoClocks()
    const ledger = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, clock)
    for (let calls = 0; calls < settings.quotaLimit; calls++) await ledger.admit([request(startMs)], 'live')
    state.offMs = hourMs
    await ledger.confirmClock()
    const confirmedMs = clock.now()
    const verdict = async () => (await ledger.admit([request(clock.now())], 'live'))[0]
    state.trueMs += settings.longestInFlightMs + 1
    expect(await verdict()).toMatchObject({ verdicts: ['quota'] })
    state.trueMs += confirmedMs + settings.quotaWindowMs + settings.quotaSlackMs + settings.quotaBucketMs - clock.now()
    expect(await verdict()).toMatchObject({ verdicts: ['send'] })
  })

  it('is named in the log, without ids', async () => {
    const { state, clock } = twoClocks()
    const lines: unknown[] = []
    const log = (event: string, details?: object) => lines.push({ event, ...details })
    const parts = { witness: memoryWitness(), memory: newEpochMemory(), log }
    const ledger = watched(sqlLedger(nodeSqlite(new DatabaseSync(':memory:')), settings, clock), parts)
    await ledger.admit([request(startMs)], 'live')
    state.offMs = -hourMs
    const answer = ledger.admit([request(startMs)], 'live')
    await expect(answer).rejects.toBeInstanceOf(ClockJumped)
    expect(lines).toEqual([{ event: 'clock_jumped', byMs: -hourMs }])
  })
})
