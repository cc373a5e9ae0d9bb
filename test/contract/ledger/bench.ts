/** One ledger at a time, a clock that stands still, and helpers for what the contract asks repeatedly. */
import { expect } from 'vitest'
import type { Admission, AdmitRequest, Ledger, Settlement } from '../../../src/core/ledger/port.ts'
import type { Outcome, Verdict } from '../../../src/core/ledger/rules/register.ts'
import type { LedgerSettings } from '../../../src/core/ledger/rules/settings.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import type { Lane } from '../../../src/core/update/update.ts'

export interface LedgerMaker {
  make(settings: LedgerSettings, clock: { now: () => number }): Promise<Ledger>
  dispose?(): Promise<void>
}

export const contractSettings: LedgerSettings = {
  quotaLimit: 100,
  quotaWindowMs: 10_000,
  quotaBucketMs: 100,
  quotaSlackMs: 1_500,
  replayReserve: 0.1,
  pace: 'none',
  retentionMs: 72 * 3_600_000,
  inFlightMs: 10_000,
  longestInFlightMs: 10_300,
}
export const startMs = 1_790_000_000_000
let serial = 0
export const unique = () => (++serial).toString(16).padStart(24, '0')
/** A stamp `ms` after the start of the test. */
export const at = (ms: number, id = '0') => makeStamp(startMs + ms, startMs + ms, id.padStart(16, '0'))

export interface Bench {
  /** The ledger's time, epoch ms. */
  nowMs: number
  readonly ledger: Ledger
  /** The visitor whose updates `request` makes; a new one for each ledger. */
  visitor: string
  /** A new ledger, with the clock at its start. */
  fresh(settings?: Partial<LedgerSettings>): Promise<void>
  request(stamp: string, more?: Partial<AdmitRequest>): AdmitRequest
  admit(one: AdmitRequest, lane?: Lane): Promise<Admission>
  verdict(stamp: string, lane?: Lane): Promise<Verdict | Admission['event'] | undefined>
  settle(sent: AdmitRequest, outcome: Outcome, more?: Partial<Settlement>): Promise<void>
  /** Admits an update and expects that it may be sent. */
  sent(stamp: string, more?: Partial<AdmitRequest>): Promise<AdmitRequest>
  used(): Promise<number>
  /** Waits until nothing is in flight any longer. */
  aged(): void
}

export function openBench(maker: LedgerMaker): Bench {
  let ledger: Ledger | undefined
  const bench: Bench = {
    nowMs: startMs,
    visitor: '',
    get ledger() {
      if (ledger === undefined) throw new Error('no ledger was made')
      return ledger
    },
    async fresh(settings = {}) {
      bench.nowMs = startMs
      bench.visitor = unique()
      ledger = await maker.make({ ...contractSettings, ...settings }, { now: () => bench.nowMs })
    },
    request: (stamp, more = {}) => ({
      visitorHash: bench.visitor,
      attributes: [{ name: 'tier', stamp }],
      units: 1,
      token: unique(),
      ...more,
    }),
    async admit(one, lane = 'live') {
      const [answer] = await bench.ledger.admit([one], lane)
      if (answer === undefined) throw new Error('no answer')
      return answer
    },
    async verdict(stamp, lane = 'live') {
      const answer = await bench.admit(bench.request(stamp), lane)
      return answer.event === 'open' ? answer.verdicts[0] : answer.event
    },
    settle: (sent, outcome, more = {}) =>
      bench.ledger.settle([
        {
          visitorHash: sent.visitorHash,
          token: sent.token,
          attributes: sent.attributes.map((attribute) => ({ ...attribute, outcome })),
          ...more,
        },
      ]),
    async sent(stamp, more = {}) {
      const one = bench.request(stamp, more)
      expect(await bench.admit(one)).toMatchObject({ event: 'open', verdicts: one.attributes.map(() => 'send') })
      return one
    },
    used: async () => (await bench.ledger.usage()).used,
    aged() {
      bench.nowMs += contractSettings.inFlightMs + 1
    },
  }
  return bench
}
