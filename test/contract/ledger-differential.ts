/** Two ledgers must give the same answers to the same random operations, step by step. */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { AdmitRequest, KnownAttribute, Ledger, Settlement } from '../../src/core/ledger/port.ts'
import { type Outcome, registerLifeMs } from '../../src/core/ledger/rules/register.ts'
import type { LedgerSettings } from '../../src/core/ledger/rules/settings.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { lanes } from '../../src/core/update/update.ts'
import { contractSettings } from './ledger.ts'

/** Makes a store. The result opens it, each time the settings change. */
type Make = (clock: { now: () => number }) => (settings: LedgerSettings) => Ledger
const startMs = 1_790_000_000_000
const outcomes: Outcome[] = ['delivered', 'unsent', 'refused', 'unknown']
/** A dozen: more than fit in a page of two or of five. */
const names = ['tier', '__proto__', 'a b|c:"😀"', ...Array.from({ length: 9 }, (_, n) => `name-${n}`)]

/** With pacing from the start, and a quota of which a span has more than a unit. */
export const pacedSettings = { pace: 'even', quotaLimit: 240, quotaWindowMs: 120_000 } as const

export interface DifferentialOptions {
  readonly numRuns?: number
  readonly settings?: Partial<LedgerSettings>
  /** How many names there are: few of them collide often, many fill pages. */
  readonly nameCount?: number
}

const admitOp = fc.record({
  kind: fc.constant('admit' as const),
  lane: fc.constantFrom(...lanes),
  requests: fc.array(
    fc.record({
      visitor: fc.integer({ min: 0, max: 2 }),
      /** The first of its names. */
      name: fc.nat(),
      event: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
      stamps: fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 3 }),
      /** Of the value, where its source skips what is unchanged. */
      hash: fc.option(fc.constantFrom('gold', 'silver'), { nil: undefined, freq: 2 }),
      units: fc.integer({ min: 1, max: 9 }),
      share: fc.option(fc.constantFrom(0, 4, 20), { nil: undefined }),
      hold: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
      sources: fc.subarray(['noisy', 'quiet', 'third'], { minLength: 1 }),
      round: fc.constantFrom({}, { firstTry: true as const }, { lastResort: true as const }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
})
const settlementOf = fc.record({
  /** Which of the attempts so far, counted from the newest. */
  attempt: fc.integer({ min: 0, max: 5 }),
  outcomes: fc.array(fc.constantFrom(...outcomes), { minLength: 3, maxLength: 3 }),
  giveBack: fc.integer({ min: 0, max: 9 }),
  done: fc.boolean(),
  rejected: fc.boolean(),
  backoff: fc.option(fc.integer({ min: 0, max: 20_000 }), { nil: undefined }),
  note: fc.option(
    fc.record({
      kind: fc.constantFrom('s' as const, 'r' as const, 'd' as const, 'p' as const),
      digit: fc.integer({ min: 0, max: 9 }),
      source: fc.constantFrom('crm', 'api', 'a-source-with-a-long-name', 'a b', ''),
      names: fc.subarray([...names, 'a-rather-long-name-of-an-attribute', 'x'.repeat(33), '[%]^$']),
    }),
    { nil: undefined },
  ),
  // A yes resets everything: it is rare enough that the others add up.
  signal: fc.option(
    fc.constantFrom('down' as const, 'down' as const, 'refused' as const, 'wrong' as const, 'up' as const),
    {
      nil: undefined,
      freq: 2,
    },
  ),
})
const settleOp = fc.record({
  kind: fc.constant('settle' as const),
  settlements: fc.array(settlementOf, { minLength: 1, maxLength: 3 }),
  counts: fc.dictionary(
    fc.constantFrom('crm/live/received', 'crm/live/calls', 'api/replay/replayed', '_other/-/a b', 'calls'),
    fc.integer({ min: 1, max: 9 }),
  ),
})
const controlOp = fc.record({
  kind: fc.constant('control' as const),
  what: fc.constantFrom(
    'pause' as const,
    'resume' as const,
    'resume' as const,
    'erase' as const,
    'restate' as const,
    'confirm' as const,
    'close' as const,
  ),
  number: fc.integer({ min: 0, max: 2 }),
})
const waitOp = fc.record({
  kind: fc.constant('wait' as const),
  ms: fc.oneof(fc.integer({ min: -300, max: 3_000 }), fc.integer({ min: 9_000, max: 15_000 })),
})
/** The clock is set forward or back, within and beyond the tolerance. */
const jumpOp = fc.record({
  kind: fc.constant('jump' as const),
  minutes: fc.constantFrom(-31, -6, -4, 4, 6, 30),
  confirmed: fc.boolean(),
})
/** Denied attempts of one visitor, with or without a yes for another in between, and a wait. */
const deniedOp = fc.record({
  kind: fc.constant('denied' as const),
  visitor: fc.integer({ min: 0, max: 2 }),
  times: fc.integer({ min: 1, max: 8 }),
  yes: fc.boolean(),
  judged: fc.integer({ min: 0, max: 5 }).map((draw) => draw === 0),
  ms: fc.constantFrom(0, 1_000, 4_000),
})
const cancelOp = fc.record({
  kind: fc.constant('cancel' as const),
  attempt: fc.integer({ min: 0, max: 5 }),
})
const restartOp = fc.record({
  kind: fc.constant('restart' as const),
  quotaBucketMs: fc.constantFrom(50, 100, 170, 1_000),
  quotaWindowMs: fc.constantFrom(5_000, 10_000, 10_000, 400_000),
  inFlightMs: fc.constantFrom(1_000, 10_000, 12_000),
  pace: fc.constantFrom('none' as const, 'none' as const, 'even' as const),
})
const leaseOp = fc.record({
  kind: fc.constant('lease' as const),
  holder: fc.constantFrom('one', 'other'),
  /** 0 gives it back. */
  ttlMs: fc.constantFrom(0, 1_000, 12_000),
})
const stampsOp = fc.record({
  kind: fc.constant('stamps' as const),
  event: fc.integer({ min: 0, max: 3 }),
  stamp: fc.integer({ min: 0, max: 6 }),
})

/** Both start empty, with one fake clock that sometimes steps back or jumps. Each answer and the usage after it are compared. */
export async function ledgerDifferential(
  makeOne: Make,
  makeOther: Make,
  options: DifferentialOptions = {},
): Promise<void> {
  const { numRuns = 60, nameCount = 3 } = options
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          { weight: 8, arbitrary: admitOp },
          { weight: 6, arbitrary: settleOp },
          { weight: 3, arbitrary: waitOp },
          { weight: 2, arbitrary: stampsOp },
          jumpOp,
          deniedOp,
          cancelOp,
          restartOp,
          controlOp,
          leaseOp,
        ),
        { maxLength: 40 },
      ),
      async (operations) => {
        let nowMs = startMs
        const clock = { now: () => nowMs }
        let settings = { ...contractSettings, quotaLimit: 20, ...options.settings }
        const [openOne, openOther] = [makeOne(clock), makeOther(clock)]
        let [one, other] = [openOne(settings), openOther(settings)]
        for (const ledger of [one, other]) await ledger.check()
        const held = async () => (await one.usage()).clock !== undefined
        const attempts: { request: AdmitRequest; bucket: number; firstStamp: string | undefined; probe: boolean }[] = []
        const admissions: { requests: readonly AdmitRequest[] }[] = []
        // Two contents, so that an event is repeated with the same one and with another.
        const stamp = (serial: number) =>
          makeStamp(startMs + serial, startMs + serial, String(serial % 2).padStart(16, '0'))
        let token = 0
        for (const operation of operations) {
          switch (operation.kind) {
            case 'wait':
              nowMs += operation.ms
              break
            case 'jump':
              // Further back than a register's life it may have been removed by the later time (docs/rules.md, "Registers").
              if (operation.minutes * 60_000 < -registerLifeMs(settings)) break
              nowMs += operation.minutes * 60_000
              if (operation.confirmed) for (const ledger of [one, other]) await ledger.confirmClock()
              break
            case 'cancel': {
              const asked = admissions[operation.attempt]
              if (asked === undefined) break
              expect(await other.cancel(asked.requests)).toBe(await one.cancel(asked.requests))
              if (await held()) break
              for (const ledger of [one, other])
                await expect(ledger.admit(asked.requests, 'live')).rejects.toThrow('cancelled')
              break
            }
            case 'denied': {
              if (await held()) break
              const { visitor, times, yes, judged, ms } = operation
              const denied = {
                visitorHash: `visitor-${visitor}`,
                token: 'none',
                attributes: [],
                sources: [],
                signal: 'wrong' as const,
              }
              const settlements = Array.from({ length: times }, () => [
                ...(yes ? [{ ...denied, visitorHash: 'visitor-9', signal: 'up' as const }] : []),
                { ...denied, ...(judged ? { judged: true as const } : {}) },
              ]).flat()
              if (yes) settlements.push({ ...denied, visitorHash: 'visitor-9', signal: 'up' as const })
              for (const ledger of [one, other]) await ledger.settle(settlements)
              nowMs += ms
              break
            }
            case 'restart': {
              const { quotaBucketMs, quotaWindowMs, inFlightMs, pace } = operation
              settings = { ...settings, quotaBucketMs, quotaWindowMs, inFlightMs, pace }
              one = openOne(settings)
              other = openOther(settings)
              break
            }
            case 'lease': {
              // Which of the two times dates a lease or an event while the clock is off is not specified.
              if (await held()) break
              const { holder, ttlMs } = operation
              const ask = (ledger: Ledger) =>
                ttlMs === 0
                  ? ledger.rememberAndRelease('flush', holder, 'flush-place', holder)
                  : ledger.leaseAndRecall('flush', holder, ttlMs, ['flush-place', 'none'])
              expect(await ask(other)).toEqual(await ask(one))
              break
            }
            case 'control': {
              if (operation.what === 'erase') {
                const erase = (ledger: Ledger) => ledger.erase(`visitor-${operation.number}`)
                expect(await erase(other)).toBe(await erase(one))
                break
              }
              if (operation.what === 'close') {
                expect(await other.closeBreaker()).toBe(await one.closeBreaker())
                break
              }
              for (const ledger of [one, other]) {
                if (operation.what === 'confirm') await ledger.confirmClock()
                else if (operation.what === 'restate') await ledger.restate(operation.number * 5)
                else await ledger.pause(operation.what === 'pause')
              }
              break
            }
            case 'stamps': {
              if (await held()) break
              const events = [{ event: `event-${operation.event}`, stamp: stamp(operation.stamp) }]
              expect(await other.firstStamps(events)).toEqual(await one.firstStamps(events))
              break
            }
            case 'admit': {
              const requests = operation.requests.map(
                ({ visitor, name, event, stamps, hash, units, share, hold, sources, round }): AdmitRequest => ({
                  visitorHash: `visitor-${visitor}`,
                  // With an event, all attributes have the event's stamp.
                  attributes: stamps.map((serial, index) => ({
                    name: names[(name + index) % nameCount] ?? '',
                    stamp: stamp(event === undefined ? serial : (stamps[0] ?? 0)),
                    ...(hash === undefined ? {} : { hash }),
                  })),
                  units,
                  token: `token-${++token}`,
                  ...(event === undefined ? {} : { event: `event-${event}` }),
                  ...(share === undefined ? {} : { source: { name: 'noisy', units: share } }),
                  ...(hold ? { hold } : {}),
                  ...round,
                  sources,
                }),
              )
              admissions.unshift({ requests })
              if (await held()) {
                for (const ledger of [one, other])
                  await expect(ledger.admit(requests, operation.lane)).rejects.toThrow('clock')
                break
              }
              const [answers, others] = [
                await one.admit(requests, operation.lane),
                await other.admit(requests, operation.lane),
              ]
              expect(others).toEqual(answers)
              answers.forEach((answer, index) => {
                const request = requests[index]
                if (answer.event === 'open' && request !== undefined && answer.bucket !== undefined)
                  attempts.unshift({
                    request,
                    bucket: answer.bucket,
                    firstStamp: answer.firstStamp,
                    probe: answer.probe !== undefined,
                  })
              })
              break
            }
            case 'settle': {
              const settlements = operation.settlements.flatMap((ending): Settlement[] => {
                const attempt = attempts[ending.attempt]
                if (attempt === undefined) return []
                const { request, bucket, firstStamp, probe } = attempt
                const source = request.source === undefined ? {} : { source: request.source.name }
                return [
                  {
                    visitorHash: request.visitorHash,
                    token: request.token,
                    attributes: request.attributes.map(({ name, stamp, hash }, index) => ({
                      name,
                      ...(hash === undefined ? {} : { hash }),
                      stamp: firstStamp ?? stamp,
                      outcome: ending.outcomes[index] ?? 'unknown',
                    })),
                    ...(request.sources === undefined ? {} : { sources: request.sources }),
                    ...(ending.giveBack > 0
                      ? { giveBack: { bucket, units: Math.min(ending.giveBack, request.units), ...source } }
                      : {}),
                    ...(ending.done && request.event !== undefined
                      ? { eventDone: request.event, ...(ending.rejected ? { eventRejected: true as const } : {}) }
                      : {}),
                    ...(ending.signal === undefined
                      ? {}
                      : { signal: ending.signal, ...(probe ? { probe: true as const } : {}) }),
                    ...(ending.note === undefined
                      ? {}
                      : { note: { ...ending.note, stamp: firstStamp ?? request.attributes[0]?.stamp ?? stamp(0) } }),
                    ...(ending.backoff === undefined ? {} : { backoff: { attempts: 1, waitMs: ending.backoff } }),
                  },
                ]
              })
              const leads = { desk: 2_000 + settlements.length }
              await one.settle(settlements, operation.counts, leads)
              await other.settle(settlements, operation.counts, leads)
              break
            }
          }
          expect(await other.usage()).toEqual(await one.usage())
          // Which of the two times dates a slot while the clock is off is not specified.
          if (!(await held())) expect(await other.series(0)).toEqual(await one.series(0))
          for (let visitor = 0; visitor <= 2; visitor++) {
            if (!(await held()))
              expect(await other.history(`visitor-${visitor}`)).toEqual(await one.history(`visitor-${visitor}`))
            expect(byName(await other.visitor(`visitor-${visitor}`))).toEqual(
              byName(await one.visitor(`visitor-${visitor}`)),
            )
          }
        }
      },
    ),
    // What it has found it says before the test runs out of time.
    { numRuns, interruptAfterTimeLimit: 40_000 },
  )
}

function byName(known: readonly KnownAttribute[]): readonly KnownAttribute[] {
  return known
    .filter(({ done, open }) => done !== undefined || open !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
