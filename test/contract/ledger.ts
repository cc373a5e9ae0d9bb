/** What every ledger must answer, rule by rule of docs/rules.md. Run against each implementation. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { Admission, AdmitRequest, Ledger, Settlement } from '../../src/core/ledger/port.ts'
import { deniedThatOpen, failuresThatOpen } from '../../src/core/ledger/rules/health.ts'
import type { Outcome } from '../../src/core/ledger/rules/register.ts'
import { type LedgerSettings, maxBatch } from '../../src/core/ledger/rules/settings.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import type { Lane } from '../../src/core/update/update.ts'

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
  retentionMs: 72 * 3_600_000,
  inFlightMs: 10_000,
  longestInFlightMs: 10_300,
}
const startMs = 1_790_000_000_000
let serial = 0
const unique = () => (++serial).toString(16).padStart(24, '0')
/** A stamp `ms` after the start of the test. */
export const at = (ms: number, id = '0') => makeStamp(startMs + ms, startMs + ms, id.padStart(16, '0'))

export function ledgerContract(name: string, maker: LedgerMaker): void {
  describe(`ledger contract: ${name}`, () => {
    let nowMs = startMs
    let ledger: Ledger
    let visitor = ''
    const clock = { now: () => nowMs }
    const fresh = async (settings: Partial<LedgerSettings> = {}) => {
      nowMs = startMs
      visitor = unique()
      ledger = await maker.make({ ...contractSettings, ...settings }, clock)
    }
    beforeEach(() => fresh())
    afterAll(async () => maker.dispose?.())

    const request = (stamp: string, more: Partial<AdmitRequest> = {}): AdmitRequest => ({
      visitorHash: visitor,
      attributes: [{ name: 'tier', stamp }],
      units: 1,
      token: unique(),
      ...more,
    })
    const admit = async (one: AdmitRequest, lane: Lane = 'live'): Promise<Admission> => {
      const [answer] = await ledger.admit([one], lane)
      if (answer === undefined) throw new Error('no answer')
      return answer
    }
    const verdict = async (stamp: string, lane: Lane = 'live') => {
      const answer = await admit(request(stamp), lane)
      return answer.event === 'open' ? answer.verdicts[0] : answer.event
    }
    const settle = (sent: AdmitRequest, outcome: Outcome, more: Partial<Settlement> = {}) =>
      ledger.settle([
        {
          visitorHash: sent.visitorHash,
          token: sent.token,
          attributes: sent.attributes.map((attribute) => ({ ...attribute, outcome })),
          ...more,
        },
      ])
    const sent = async (stamp: string, more: Partial<AdmitRequest> = {}) => {
      const one = request(stamp, more)
      expect(await admit(one)).toMatchObject({ event: 'open', verdicts: one.attributes.map(() => 'send') })
      return one
    }
    const used = async () => (await ledger.usage()).used
    const aged = () => {
      nowMs += contractSettings.inFlightMs + 1
    }

    describe('the register (G3)', () => {
      it('sends what is new, and then knows it delivered', async () => {
        await settle(await sent(at(0)), 'delivered')
        expect(await verdict(at(0))).toBe('delivered')
        expect(await verdict(at(-1))).toBe('superseded')
        expect(await verdict(at(1))).toBe('send')
      })

      it('an update is superseded only by a newer one: another of the very same time is not', async () => {
        await settle(await sent(at(0, 'a')), 'delivered')
        expect(await verdict(at(0, 'b'))).toBe('send')
      })

      it('while an attempt is in flight, newer ones are contended and older ones wait', async () => {
        await sent(at(10))
        expect(await verdict(at(20))).toBe('contended')
        expect(await verdict(at(10))).toBe('contended')
        expect(await verdict(at(0))).toBe('waits')
        nowMs += contractSettings.inFlightMs
        expect(await verdict(at(20))).toBe('contended')
        nowMs += 1
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(20))).toBe('send')
      })

      it('after an unknown outcome an older value waits, the same one goes again', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(10))).toBe('send')
      })

      it('an unsent attempt gives way to what was open before it, aged: clearing it would let an older value overtake', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(20)), 'unsent')
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(10))).toBe('send')
      })

      it('an unsent repeat keeps its own earlier attempt open', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(10)), 'unsent')
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(10))).toBe('send')
      })

      it('an unsent first attempt leaves nothing behind', async () => {
        await settle(await sent(at(10)), 'unsent')
        expect(await verdict(at(0))).toBe('send')
      })

      it('a refused attempt falls back below itself, also after an unknown try of its own', async () => {
        await settle(await sent(at(5)), 'unknown')
        aged()
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(10)), 'refused')
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(5))).toBe('send')
      })

      it('what was delivered meanwhile is not opened again', async () => {
        const first = await sent(at(5))
        aged()
        const second = await sent(at(10))
        await settle(first, 'delivered')
        await settle(second, 'refused')
        expect(await verdict(at(5))).toBe('delivered')
        expect(await verdict(at(7))).toBe('send')
      })

      it('settles by token: a late settle of an overtaken attempt moves done on but leaves the newer attempt open', async () => {
        const first = await sent(at(10))
        aged()
        await sent(at(20))
        await settle(first, 'unsent')
        expect(await verdict(at(15))).toBe('waits')
        await settle(first, 'delivered')
        expect(await verdict(at(10))).toBe('delivered')
        expect(await verdict(at(15))).toBe('waits')
      })

      it('a late delivery of an older stamp never moves done back', async () => {
        const first = await sent(at(10))
        aged()
        await settle(await sent(at(20)), 'delivered')
        await settle(first, 'delivered')
        expect(await verdict(at(15))).toBe('superseded')
      })

      it('judges attributes one by one, whatever they are called', async () => {
        const names = ['tier', '__proto__', 'constructor', 'a:b', 'b', 'with space', '"quoted"', '😀', 'x|y']
        const first = request(at(10), { attributes: names.map((name) => ({ name, stamp: at(10) })) })
        expect(await admit(first)).toMatchObject({ verdicts: names.map(() => 'send') })
        await settle(first, 'delivered')
        const second = request(at(20), {
          attributes: names.map((name, index) => ({ name, stamp: at(index % 2 === 0 ? 20 : 5) })),
        })
        expect(await admit(second)).toMatchObject({
          verdicts: names.map((_, index) => (index % 2 === 0 ? 'send' : 'superseded')),
        })
      })

      it('what was restored and had nothing below it, refused once more, leaves nothing open', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(20)), 'unsent')
        await settle(await sent(at(10)), 'refused')
        expect(await verdict(at(0))).toBe('send')
      })

      it('two refusals in a row leave open what was open below both: the first alone would be forgotten', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(20)), 'unknown')
        aged()
        await settle(await sent(at(30)), 'refused')
        await settle(await sent(at(20)), 'refused')
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(10))).toBe('send')
      })

      it('unsent in a second try, then refused: what was open below is still open', async () => {
        await settle(await sent(at(10)), 'unknown')
        aged()
        await settle(await sent(at(20)), 'unknown')
        aged()
        await settle(await sent(at(20)), 'unsent')
        await settle(await sent(at(20)), 'refused')
        expect(await verdict(at(0))).toBe('waits')
      })

      it('what was restored is aged at once, and nobody’s: the attempt that opened it can’t close it again', async () => {
        const first = await sent(at(10))
        aged()
        await settle(await sent(at(20)), 'unsent')
        await settle(first, 'unsent')
        expect(await verdict(at(0))).toBe('waits')
        expect(await verdict(at(10))).toBe('send')
      })

      it('an attempt that was repeated is settled by the repeat’s token only', async () => {
        const first = await sent(at(10))
        aged()
        const second = await sent(at(10))
        await settle(first, 'refused')
        expect(await verdict(at(20))).toBe('contended')
        await settle(second, 'refused')
        expect(await verdict(at(5))).toBe('send')
      })

      it('delivered by an attempt that the ledger never knew moves done on all the same', async () => {
        await settle(request(at(10)), 'delivered')
        expect(await verdict(at(10))).toBe('delivered')
        expect(await verdict(at(5))).toBe('superseded')
      })

      it('settles each attribute by its own outcome', async () => {
        const names = ['a', 'b', 'c', 'd']
        const one = await sent(at(10), { attributes: names.map((name) => ({ name, stamp: at(10) })) })
        const ends: Outcome[] = ['delivered', 'unsent', 'refused', 'unknown']
        await ledger.settle([
          {
            visitorHash: visitor,
            token: one.token,
            attributes: names.map((name, index) => ({ name, stamp: at(10), outcome: ends[index] ?? 'unknown' })),
          },
        ])
        const answer = await admit(request(at(5), { attributes: names.map((name) => ({ name, stamp: at(5) })) }))
        expect(answer).toMatchObject({ verdicts: ['superseded', 'send', 'send', 'waits'] })
      })

      it('two requests of one batch on one visitor see each other', async () => {
        const older = request(at(10))
        const newer = request(at(20))
        const answers = await ledger.admit([newer, older, request(at(30))], 'live')
        expect(answers).toMatchObject([{ verdicts: ['send'] }, { verdicts: ['waits'] }, { verdicts: ['contended'] }])
        expect(await used()).toBe(1)
      })

      it('two settlements of one batch on one visitor see each other', async () => {
        const names = ['a', 'b'].map((name) => ({ name, stamp: at(10) }))
        const [first, second] = names.map((attribute) => request(at(10), { attributes: [attribute] }))
        if (first === undefined || second === undefined) throw new Error('no request')
        await ledger.admit([first, second], 'live')
        await ledger.settle(
          [first, second].map(({ visitorHash, token, attributes }) => ({
            visitorHash,
            token,
            attributes: attributes.map((attribute) => ({ ...attribute, outcome: 'delivered' as const })),
          })),
        )
        expect(await admit(request(at(10), { attributes: names }))).toMatchObject({
          verdicts: ['delivered', 'delivered'],
        })
      })

      it('keeps visitors apart', async () => {
        await settle(await sent(at(10)), 'delivered')
        expect(await admit(request(at(10), { visitorHash: unique() }))).toMatchObject({ verdicts: ['send'] })
      })

      it('refuses what is older than the retention, and says so when a newer attempt is open', async () => {
        nowMs += contractSettings.retentionMs
        expect(await verdict(at(-1))).toBe('expired')
        expect(await verdict(at(0))).toBe('send')
        expect(await verdict(at(-1))).toBe('overtaken')
      })
    })

    describe('event ids (G4)', () => {
      it('says in flight while the first attempt is, without refreshing its age; then does it again under the first stamp; then duplicate', async () => {
        const event = unique()
        await sent(at(0), { event })
        nowMs += contractSettings.inFlightMs
        expect(await admit(request(at(100), { event }))).toEqual({ event: 'in_flight' })
        nowMs += 1
        const again = request(at(200), { event })
        expect(await admit(again)).toMatchObject({ event: 'open', verdicts: ['send'], firstStamp: at(0) })
        await settle({ ...again, attributes: [{ name: 'tier', stamp: at(0) }] }, 'delivered', { eventDone: event })
        expect(await admit(request(at(300), { event }))).toEqual({ event: 'duplicate' })
      })

      it('the first stamp takes the place of the stamp of every attribute', async () => {
        const event = unique()
        await sent(at(0), { event, attributes: ['a', 'b'].map((name) => ({ name, stamp: at(0) })) })
        aged()
        await settle(await sent(at(5), { attributes: [{ name: 'b', stamp: at(5) }] }), 'delivered')
        const again = await admit(
          request(at(100), { event, attributes: ['a', 'b'].map((name) => ({ name, stamp: at(100) })) }),
        )
        expect(again).toMatchObject({ verdicts: ['send', 'superseded'], firstStamp: at(0) })
      })

      it('says no first stamp where it is the request’s own', async () => {
        const event = unique()
        const fresh = await admit(request(at(0), { event }))
        expect(fresh).not.toHaveProperty('firstStamp')
        aged()
        expect(await admit(request(at(0), { event }))).toEqual({ ...fresh, bucket: expect.any(Number) })
      })

      it('each try anew is in flight for as long as the first was', async () => {
        const event = unique()
        await sent(at(0), { event })
        aged()
        await sent(at(0), { event })
        nowMs += contractSettings.inFlightMs
        expect(await admit(request(at(0), { event }))).toEqual({ event: 'in_flight' })
        nowMs += 1
        expect(await admit(request(at(0), { event }))).toMatchObject({ event: 'open' })
      })

      it('the second of one batch is in flight', async () => {
        const event = unique()
        const answers = await ledger.admit(
          [request(at(0), { event }), request(at(1), { event, visitorHash: unique() })],
          'live',
        )
        expect(answers).toMatchObject([{ event: 'open', verdicts: ['send'] }, { event: 'in_flight' }])
        expect(await used()).toBe(1)
      })

      it('is recorded with its first stamp though the quota refused it', async () => {
        const event = unique()
        expect(await admit(request(at(0), { event, units: 101 }))).toMatchObject({ event: 'open', verdicts: ['quota'] })
        expect(await admit(request(at(9), { event }))).toEqual({ event: 'in_flight' })
        aged()
        expect(await admit(request(at(9), { event }))).toMatchObject({ verdicts: ['send'], firstStamp: at(0) })
      })

      it('an event that is held is recorded, and nothing else: no unit, no register, the same when paused', async () => {
        const event = unique()
        const attributes = ['a', 'b'].map((name) => ({ name, stamp: at(0) }))
        expect(await admit(request(at(0), { event, attributes, hold: true }))).toEqual({
          event: 'open',
          verdicts: ['held', 'held'],
          attempts: 0,
        })
        expect(await admit(request(at(5), { event, attributes, hold: true }))).toEqual({ event: 'in_flight' })
        expect(await used()).toBe(0)
        expect(await admit(request(at(-1), { attributes: [{ name: 'a', stamp: at(-1) }] }))).toMatchObject({
          verdicts: ['send'],
        })
        await ledger.pause(true)
        expect(await admit(request(at(9), { attributes: [{ name: 'b', stamp: at(9) }], hold: true }))).toMatchObject({
          verdicts: ['held'],
        })
        await ledger.settle([{ visitorHash: visitor, token: '', attributes: [], eventDone: event }])
        expect(await admit(request(at(7), { event, attributes, hold: true }))).toEqual({ event: 'duplicate' })
      })

      it('what is held and was delivered, or is superseded, is said so', async () => {
        await settle(await sent(at(5)), 'delivered')
        expect(await admit(request(at(5), { hold: true }))).toMatchObject({ verdicts: ['delivered'] })
        expect(await admit(request(at(4), { hold: true }))).toMatchObject({ verdicts: ['superseded'] })
      })

      it('done at once ends its youth, and a settlement without the event does not', async () => {
        const event = unique()
        const one = await sent(at(0), { event })
        await settle(one, 'delivered')
        expect(await admit(request(at(0), { event }))).toEqual({ event: 'in_flight' })
        await settle(one, 'delivered', { eventDone: event })
        expect(await admit(request(at(0), { event }))).toEqual({ event: 'duplicate' })
      })

      it('an event that the ledger never knew is recorded as done under the stamp of its settlement', async () => {
        const event = unique()
        await settle(request(at(7)), 'delivered', { eventDone: event })
        expect(await admit(request(at(9), { event }))).toEqual({ event: 'duplicate' })
        expect(await ledger.firstStamps([{ event, stamp: at(9) }])).toEqual([at(7)])
      })

      it('done keeps the first stamp', async () => {
        const event = unique()
        await sent(at(0), { event })
        await settle(request(at(7)), 'delivered', { eventDone: event })
        expect(await ledger.firstStamps([{ event, stamp: at(9) }])).toEqual([at(0)])
      })

      it('what was asked for its first stamp is in flight to live traffic, then goes under that stamp', async () => {
        const event = unique()
        await ledger.firstStamps([{ event, stamp: at(0) }])
        expect(await admit(request(at(5), { event }))).toEqual({ event: 'in_flight' })
        aged()
        expect(await admit(request(at(5), { event }))).toMatchObject({ verdicts: ['send'], firstStamp: at(0) })
      })

      it('equal events in one question have one first stamp', async () => {
        const event = unique()
        expect(
          await ledger.firstStamps([
            { event, stamp: at(3) },
            { event, stamp: at(1) },
          ]),
        ).toEqual([at(3), at(3)])
      })

      it('a duplicate costs no quota', async () => {
        const event = unique()
        await settle(await sent(at(0), { event }), 'delivered', { eventDone: event })
        const before = await used()
        await admit(request(at(300), { event }))
        expect(await used()).toBe(before)
      })

      it('an id that comes with other content is told, records nothing and costs nothing, until its record ends', async () => {
        const event = unique()
        const one = await sent(at(0), { event })
        const before = await used()
        expect(await admit(request(at(5, 'b'), { event }))).toEqual({ event: 'id_reused' })
        expect(await ledger.firstStamps([{ event, stamp: at(6, 'b') }])).toEqual([null])
        await settle(one, 'delivered', { eventDone: event })
        expect(await admit(request(at(7, 'b'), { event }))).toEqual({ event: 'id_reused' })
        expect(await admit(request(at(8), { event }))).toEqual({ event: 'duplicate' })
        expect(await used()).toBe(before)
        expect(await ledger.visitor(visitor)).toEqual([{ name: 'tier', done: at(0) }])
      })

      it('what Target refused is refused again without a unit; with other content it is tried, under its own stamp', async () => {
        const event = unique()
        await settle(await sent(at(0), { event }), 'refused', { eventDone: event, eventRejected: true })
        const before = await used()
        expect(await admit(request(at(5), { event }))).toEqual({ event: 'rejected' })
        expect(await ledger.firstStamps([{ event, stamp: at(6) }])).toEqual([at(0)])
        expect(await used()).toBe(before)
        const mended = await sent(at(7, 'b'), { event })
        expect(await admit(request(at(8, 'b'), { event }))).toEqual({ event: 'in_flight' })
        await settle(mended, 'delivered', { eventDone: event })
        expect(await admit(request(at(9, 'b'), { event }))).toEqual({ event: 'duplicate' })
      })

      it('asked for the first stamp of other content than what Target refused, it is that one', async () => {
        const event = unique()
        await settle(await sent(at(0), { event }), 'refused', { eventDone: event, eventRejected: true })
        expect(await ledger.firstStamps([{ event, stamp: at(6, 'b') }])).toEqual([at(6, 'b')])
        expect(await admit(request(at(7, 'b'), { event }))).toEqual({ event: 'in_flight' })
      })

      it('a record of an older version, whose stamp is named by the event, fits any content', async () => {
        const event = unique()
        await settle(await sent(at(0, event), { event }), 'delivered', { eventDone: event })
        expect(await admit(request(at(5, 'b'), { event }))).toEqual({ event: 'duplicate' })
      })

      it('asking for first stamps records what is unknown, and answers what is known', async () => {
        const [event, other] = [unique(), unique()]
        await sent(at(0), { event })
        expect(
          await ledger.firstStamps([
            { event, stamp: at(50) },
            { event: other, stamp: at(60) },
          ]),
        ).toEqual([at(0), at(60)])
        expect(await ledger.firstStamps([{ event: other, stamp: at(70) }])).toEqual([at(60)])
      })
    })

    describe('before the first yes', () => {
      const told = (signal: 'up' | 'refused', probe = false) =>
        ledger.settle([
          {
            visitorHash: unique(),
            token: unique(),
            attributes: [],
            signal,
            ...(probe ? { probe: true as const } : {}),
          },
        ])
      const doubted = async () => {
        const answer = await admit(request(at(0), { visitorHash: unique() }))
        return answer.event === 'open' && answer.systemic === true
      }

      it('every admission says that a refusal is no verdict; one yes ends it for good', async () => {
        expect(await doubted()).toBe(true)
        await told('up')
        expect(await doubted()).toBe(false)
        await told('refused')
        expect(await doubted()).toBe(false)
        expect((await ledger.summary()).health.breaker).toBeUndefined()
      })

      it('one refusal opens the breaker, and a yes closes it', async () => {
        await told('refused')
        expect((await ledger.summary()).health.breaker).toMatchObject({ cause: 'systemic' })
        await told('up')
        expect((await ledger.summary()).health).not.toHaveProperty('breaker')
      })
    })

    describe('the quota (G1)', () => {
      it('is all or nothing, and a refusal spends nothing and leaves the register untouched', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        await settle(await sent(at(0), { units: 8 }), 'delivered')
        expect(await admit(request(at(1), { units: 3 }))).toMatchObject({ verdicts: ['quota'] })
        expect(await used()).toBe(8)
        expect(await admit(request(at(1), { units: 2 }))).toMatchObject({ verdicts: ['send'] })
      })

      it('what was held, refused or out of date leaves no mark on the window: what comes after a small step back is dated by then', async () => {
        await admit(request(at(0), { hold: true }))
        await admit(request(at(0), { units: contractSettings.quotaLimit + 1 }))
        nowMs -= 240_000
        const answer = await admit(request(makeStamp(nowMs, nowMs, '0'.repeat(16))))
        expect(answer).toMatchObject({ verdicts: ['send'], bucket: nowMs - 1 + contractSettings.quotaBucketMs })
      })

      it('decides a batch in order, and a smaller request may still fit', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        const answers = await ledger.admit(
          [7, 5, 3].map((units) => request(at(units), { units, visitorHash: unique() })),
          'live',
        )
        expect(answers.map((answer) => answer.event === 'open' && answer.verdicts[0])).toEqual([
          'send',
          'quota',
          'send',
        ])
        expect(await used()).toBe(10)
      })

      it.each([
        ['replay', 100],
        ['high', 95],
        ['live', 90],
        ['bulk', 60],
      ] as const)('the lane %s may fill %i of 100', async (lane, ceiling) => {
        expect(await admit(request(at(0), { units: ceiling + 1 }), lane)).toMatchObject({ verdicts: ['quota'] })
        expect(await admit(request(at(0), { units: ceiling }), lane)).toMatchObject({ verdicts: ['send'] })
      })

      it('frees units exactly when their bucket is out of window and slack, and says when', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        await sent(at(0), { units: 6 })
        nowMs += 450
        await sent(at(1), { units: 4, visitorHash: unique() })
        const refused = await admit(request(at(2), { units: 7, visitorHash: unique() }))
        const freeMs = Math.floor((startMs + 450) / 100) * 100 + 100 + 10_000 + 1_500
        expect(refused).toMatchObject({ verdicts: ['quota'], retryAtMs: freeMs })
        nowMs = freeMs - 1
        expect(await admit(request(at(2), { units: 7, visitorHash: unique() }))).toMatchObject({ verdicts: ['quota'] })
        nowMs = freeMs
        expect(await admit(request(at(2), { units: 7, visitorHash: unique() }))).toMatchObject({ verdicts: ['send'] })
      })

      it.each([0.2, 0.25, 0.5])('no lane has nothing, whatever the reserve: %d (G7)', async (replayReserve) => {
        await fresh({ replayReserve })
        expect(await admit(request(at(0)), 'bulk')).toMatchObject({ verdicts: ['send'] })
        // Over its share a source has this ceiling in every lane: with nothing it would wait until it expires.
        const over = request(at(0), { visitorHash: unique(), source: { name: 'desk', units: 0 } })
        expect(await admit(over, 'replay')).toMatchObject({ verdicts: ['send'] })
      })

      it('lanes fill one total: what one took is gone for the others, and replay keeps its reserve', async () => {
        const on = async (lane: Lane, units: number) => {
          const answer = await admit(request(at(0), { units, visitorHash: unique() }), lane)
          return answer.event === 'open' && answer.verdicts[0]
        }
        expect(await on('bulk', 60)).toBe('send')
        expect(await on('bulk', 1)).toBe('quota')
        expect(await on('live', 30)).toBe('send')
        expect(await on('live', 1)).toBe('quota')
        expect(await on('high', 5)).toBe('send')
        expect(await on('high', 1)).toBe('quota')
        expect(await on('replay', 5)).toBe('send')
        expect(await on('replay', 1)).toBe('quota')
      })

      it('the time it says is that of the lane, over as many buckets as it takes', async () => {
        const freeMs: number[] = []
        for (const units of [30, 30, 30]) {
          freeMs.push(Math.floor(nowMs / 100) * 100 + 100 + 11_500)
          await sent(at(0), { units, visitorHash: unique() })
          nowMs += 1_000
        }
        const retryAt = async (units: number, lane: Lane) => {
          const answer = await admit(request(at(0), { units, visitorHash: unique() }), lane)
          return answer.event === 'open' ? answer.retryAtMs : undefined
        }
        expect(await retryAt(1, 'live')).toBe(freeMs[0])
        expect(await retryAt(30, 'live')).toBe(freeMs[0])
        expect(await retryAt(31, 'live')).toBe(freeMs[1])
        expect(await retryAt(90, 'live')).toBe(freeMs[2])
        expect(await retryAt(91, 'live')).toBeUndefined()
        expect(await retryAt(1, 'bulk')).toBe(freeMs[1])
        expect(await retryAt(41, 'replay')).toBe(freeMs[1])
      })

      it('takes the units of a request once, however many of its attributes go, and says which bucket', async () => {
        nowMs += 250
        const attributes = ['a', 'b', 'c'].map((name) => ({ name, stamp: at(0) }))
        const answer = await admit(request(at(0), { attributes, units: 2 }))
        expect(answer).toMatchObject({
          event: 'open',
          verdicts: ['send', 'send', 'send'],
          bucket: startMs + 299,
          attempts: 0,
        })
        expect(await used()).toBe(2)
      })

      it('a refusal names only the attributes that would have gone', async () => {
        const attributes = (ms: number) => ['a', 'b'].map((name) => ({ name, stamp: at(ms) }))
        await settle(await sent(at(10), { attributes: attributes(10).slice(0, 1) }), 'delivered')
        const answer = await admit(request(at(5), { attributes: attributes(5), units: 101 }))
        expect(answer).toMatchObject({ verdicts: ['superseded', 'quota'] })
        expect(answer).not.toHaveProperty('bucket')
      })

      it('says no time for what can never fit', async () => {
        const answer = await admit(request(at(0), { units: 101 }))
        expect(answer).toMatchObject({ verdicts: ['quota'] })
        expect(answer).not.toHaveProperty('retryAtMs')
      })

      it('takes nothing for what is not sent', async () => {
        await settle(await sent(at(0)), 'delivered')
        expect(await verdict(at(-5))).toBe('superseded')
        expect(await used()).toBe(1)
      })

      it('gives units back to their bucket once, however often the settlement is repeated', async () => {
        const one = await admit(request(at(0), { units: 5, visitorHash: 'aa', token: 'token-one' }))
        const bucket = one.event === 'open' ? (one.bucket ?? 0) : 0
        await sent(at(0), { units: 5, visitorHash: 'bb' })
        const settlement: Settlement = {
          visitorHash: 'aa',
          token: 'token-one',
          attributes: [{ name: 'tier', stamp: at(0), outcome: 'delivered' }],
          giveBack: { bucket, units: 4 },
        }
        for (let time = 0; time < 3; time++) await ledger.settle([settlement])
        expect(await used()).toBe(6)
      })

      const taken = async (units: number) => {
        const one = request(at(0), { units, visitorHash: unique() })
        const answer = await admit(one)
        if (answer.event !== 'open' || answer.bucket === undefined) throw new Error('not admitted')
        return { one, bucket: answer.bucket }
      }

      it('what is given back frees its own bucket, and can be taken again at once', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        const { one, bucket } = await taken(6)
        nowMs += 1_000
        await taken(4)
        await settle(one, 'unsent', { giveBack: { bucket, units: 6 } })
        expect(await ledger.usage()).toMatchObject({
          used: 4,
          buckets: [[startMs + 1_000, 4]],
          nextFreeAtMs: startMs + 12_600,
        })
        await taken(6)
        expect(await used()).toBe(10)
      })

      it('never gives back more than the bucket holds, nor to a bucket that is gone', async () => {
        const { one, bucket } = await taken(5)
        await settle(one, 'unsent', { giveBack: { bucket, units: 50 } })
        expect(await ledger.usage()).toMatchObject({ used: 0, buckets: [] })
        const late = await taken(5)
        nowMs += 11_600
        const now = await taken(3)
        await settle(late.one, 'unsent', { giveBack: { bucket: late.bucket, units: 5 } })
        expect(await used()).toBe(3)
        await settle(now.one, 'delivered', { giveBack: { bucket: now.bucket, units: 1 } })
        expect(await used()).toBe(2)
      })

      it('an attempt that is not its register’s any more gives nothing back, delivered or not', async () => {
        const { one, bucket } = await taken(5)
        aged()
        await sent(at(9), { visitorHash: one.visitorHash })
        const before = await used()
        await settle(one, 'delivered', { giveBack: { bucket, units: 4 } })
        await settle(one, 'unsent', { giveBack: { bucket, units: 4 } })
        expect(await used()).toBe(before)
      })

      it('one attribute that closes is enough to give back', async () => {
        const one = request(at(0), { units: 5, attributes: ['a', 'b'].map((name) => ({ name, stamp: at(0) })) })
        const answer = await admit(one)
        const bucket = answer.event === 'open' ? (answer.bucket ?? 0) : 0
        await ledger.settle([
          {
            visitorHash: one.visitorHash,
            token: one.token,
            attributes: [
              { name: 'a', stamp: at(0), outcome: 'unknown' },
              { name: 'b', stamp: at(0), outcome: 'unsent' },
            ],
            giveBack: { bucket, units: 3 },
          },
        ])
        expect(await used()).toBe(2)
      })

      it('an unknown outcome gives nothing back', async () => {
        const one = request(at(0), { units: 5 })
        const answer = await admit(one)
        const bucket = answer.event === 'open' ? (answer.bucket ?? 0) : 0
        await settle(one, 'unknown', { giveBack: { bucket, units: 4 } })
        expect(await used()).toBe(5)
      })

      it('a clock that steps back reopens nothing', async () => {
        await fresh({ quotaLimit: 10, replayReserve: 0 })
        await sent(at(0), { units: 5 })
        nowMs -= 5_000
        await sent(at(1), { units: 5, visitorHash: unique() })
        nowMs = startMs + 11_500
        expect(await admit(request(at(2), { visitorHash: unique() }))).toMatchObject({ verdicts: ['quota'] })
        nowMs = startMs + 11_600
        expect(await admit(request(at(2), { visitorHash: unique() }))).toMatchObject({ verdicts: ['send'] })
      })

      it('reports what is used, by bucket, and when the next unit is free', async () => {
        await sent(at(0), { units: 5 })
        expect(await ledger.usage()).toMatchObject({
          limit: 100,
          used: 5,
          remaining: 95,
          nextFreeAtMs: startMs + 100 + 11_500,
          buckets: [[startMs, 5]],
        })
        nowMs = startMs + 11_600
        const usage = await ledger.usage()
        expect(usage).toMatchObject({ used: 0, remaining: 100, buckets: [] })
        expect(usage).not.toHaveProperty('nextFreeAtMs')
      })
    })

    describe('backoff', () => {
      it('keeps replay from a visitor until it is due, not live traffic; a delivery clears it', async () => {
        await settle(await sent(at(0)), 'unknown', { backoff: { attempts: 3, waitMs: 60_000 } })
        aged()
        expect(await admit(request(at(0)), 'replay')).toMatchObject({ verdicts: ['backoff'], attempts: 3 })
        const live = await sent(at(5))
        await settle(live, 'delivered')
        expect(await admit(request(at(9)), 'replay')).toMatchObject({ verdicts: ['send'], attempts: 0 })
      })
    })

    describe('backoff, in detail', () => {
      const backoff = { attempts: 2, waitMs: 30_000 }
      const failed = async () => {
        await settle(await sent(at(0)), 'unknown', { backoff })
        aged()
      }

      it('is over at its very millisecond', async () => {
        await failed()
        nowMs = startMs + 29_999
        expect(await verdict(at(0), 'replay')).toBe('backoff')
        nowMs = startMs + 30_000
        expect(await verdict(at(0), 'replay')).toBe('send')
      })

      it('takes no units, and says so only of what would have gone', async () => {
        await settle(await sent(at(10), { attributes: [{ name: 'a', stamp: at(10) }] }), 'delivered')
        await failed()
        const before = await used()
        const attributes = ['a', 'tier', 'new'].map((name) => ({ name, stamp: at(0) }))
        expect(await admit(request(at(0), { attributes }), 'replay')).toMatchObject({
          verdicts: ['superseded', 'backoff', 'backoff'],
          attempts: 2,
        })
        expect(await used()).toBe(before)
      })

      it('a delivery wins over a backoff in the same settlement', async () => {
        const one = request(at(0), { attributes: ['a', 'b'].map((name) => ({ name, stamp: at(0) })) })
        await admit(one)
        await ledger.settle([
          {
            visitorHash: visitor,
            token: one.token,
            attributes: [
              { name: 'a', stamp: at(0), outcome: 'delivered' },
              { name: 'b', stamp: at(0), outcome: 'unknown' },
            ],
            backoff,
          },
        ])
        aged()
        expect(await admit(request(at(0), { attributes: [{ name: 'b', stamp: at(0) }] }), 'replay')).toMatchObject({
          verdicts: ['send'],
          attempts: 0,
        })
      })

      it('stays through what is no delivery, and can be set without an attribute', async () => {
        await ledger.settle([{ visitorHash: visitor, token: unique(), attributes: [], backoff }])
        nowMs += 1
        await settle(await sent(at(0)), 'unsent')
        expect(await admit(request(at(0)), 'replay')).toMatchObject({ verdicts: ['backoff'], attempts: 2 })
      })
    })

    describe('the breaker', () => {
      const breaker = async () => (await ledger.summary()).health.breaker
      const failedAt = async (second: number) => {
        await settle(await sent(at(second)), 'unknown', {
          signal: 'down',
          backoff: { attempts: 1, waitMs: 1 },
          sources: ['crm'],
        })
        aged()
      }

      it('is opened by first tries that failed, and not by as many tries of one that failed before', async () => {
        for (let second = 0; second < 2 * failuresThatOpen; second++) await failedAt(second)
        expect(await breaker()).toBeUndefined()
        for (let first = 1; first < failuresThatOpen; first++) {
          visitor = unique()
          await failedAt(0)
        }
        expect(await breaker()).toMatchObject({ cause: 'unavailable', traits: ['s:crm', 'a:tier'] })
      })
    })

    describe('an admission that is cancelled', () => {
      it('gives its units back and opens again what was open below it, once', async () => {
        await settle(await sent(at(0)), 'unknown')
        aged()
        const given = await sent(at(5), { units: 7, source: { name: 'kiosk', units: 50 } })
        const before = await used()
        expect([await ledger.cancel([given]), await ledger.cancel([given])]).toEqual([7, 0])
        expect(await used()).toBe(before - 7)
        expect(await ledger.visitor(visitor)).toEqual([{ name: 'tier', open: at(0) }])
        expect(await verdict(at(3))).toBe('send')
      })

      it('is void where it only comes then, and takes nothing of another attempt along', async () => {
        const other = await sent(at(0))
        const late = request(at(5))
        expect(await ledger.cancel([late])).toBe(0)
        aged()
        await expect(ledger.admit([late, request(at(6))], 'live')).rejects.toThrow('cancelled')
        expect(await used()).toBe(other.units)
        expect(await verdict(at(7))).toBe('send')
      })
    })

    describe('an update that is denied again and again', () => {
      const hourMs = 3_600_000
      const deny = async (more: Partial<Settlement> = {}) =>
        ledger.settle([{ visitorHash: visitor, token: unique(), attributes: [], signal: 'wrong', ...more }])
      const yesOfAnother = async () =>
        ledger.settle([{ visitorHash: unique(), token: unique(), attributes: [], signal: 'up' }])
      const lastTry = async (lane: Lane = 'replay') => {
        const stamp = makeStamp(nowMs, nowMs, '0'.repeat(16))
        const answer = await admit(request(stamp, { attributes: [{ name: unique(), stamp }] }), lane)
        return answer.event === 'open' && answer.lastTry === true
      }
      const denials = async (count: number) => {
        for (let n = 0; n < count; n++) {
          await deny()
          await yesOfAnother()
        }
      }

      it('comes to its last try with the eighth, an hour after the first, and in replay only', async () => {
        await yesOfAnother()
        await denials(6)
        nowMs += hourMs
        expect(await lastTry()).toBe(false)
        await denials(1)
        expect([await lastTry(), await lastTry('live')]).toEqual([true, false])
        await fresh()
        await denials(7)
        nowMs += hourMs - 1
        expect(await lastTry()).toBe(false)
        nowMs++
        expect(await lastTry()).toBe(true)
      })

      it('never does where no other one was delivered meanwhile, nor while the breaker is open', async () => {
        await yesOfAnother()
        for (let n = 0; n < 20; n++) await deny()
        await yesOfAnother()
        nowMs += hourMs
        expect(await lastTry()).toBe(false)
        await denials(7)
        await deny()
        expect(await lastTry()).toBe(false)
        await yesOfAnother()
        expect(await lastTry()).toBe(true)
        for (let n = 0; n < deniedThatOpen; n++) await deny({ visitorHash: unique() })
        expect((await ledger.summary()).health.breaker).toBeDefined()
        expect(await lastTry()).toBe(false)
      })

      it.each(['up', 'refused', 'down'] as const)(
        'begins anew once an attempt of it was settled as %s, and behind a verdict',
        async (signal) => {
          for (const more of [{ signal }, { judged: true as const }]) {
            await fresh()
            await yesOfAnother()
            await denials(7)
            nowMs += hourMs
            expect(await lastTry()).toBe(true)
            await deny(more)
            await yesOfAnother()
            expect(await lastTry()).toBe(false)
          }
        },
      )
    })

    describe('leases, memos, counters', () => {
      it('a lease has one holder, who may renew it, until it ends or is given back', async () => {
        const name = unique()
        expect(await ledger.lease(name, 'one', 1_000)).toBe(true)
        expect(await ledger.lease(name, 'two', 1_000)).toBe(false)
        nowMs += 900
        expect(await ledger.lease(name, 'one', 1_000)).toBe(true)
        nowMs += 999
        expect(await ledger.lease(name, 'two', 1_000)).toBe(false)
        nowMs += 1
        expect(await ledger.lease(name, 'two', 1_000)).toBe(true)
        await ledger.release(name, 'one')
        expect(await ledger.lease(name, 'one', 1_000)).toBe(false)
        await ledger.release(name, 'two')
        expect(await ledger.lease(name, 'one', 1_000)).toBe(true)
      })

      it('remembers', async () => {
        const name = unique()
        expect(await ledger.recall(name)).toBeUndefined()
        for (const value of ['1763892000000123', '{"at":1}', 'ä😀']) {
          await ledger.remember(name, value)
          expect(await ledger.recall(name)).toBe(value)
        }
      })

      it('remembers the first of several values for good, alike for all who ask at once', async () => {
        const name = unique()
        const values = ['{"client":"one"}', '1763892000000123', 'ä😀']
        const kept = await Promise.all(values.map((value) => ledger.rememberFirst(name, value)))
        expect(values).toContain(kept[0])
        expect(new Set(kept).size).toBe(1)
        expect(await ledger.rememberFirst(name, 'later')).toBe(kept[0])
        expect(await ledger.recall(name)).toBe(kept[0])
        // What was remembered otherwise is the first, too.
        await ledger.remember(name, 'set')
        expect(await ledger.rememberFirst(name, 'later')).toBe('set')
      })

      it.each(['__proto__', 'constructor', 'a b:c', '"quoted"', '😀'])(
        'takes %s for a name like any other',
        async (odd) => {
          expect(await ledger.recall(odd)).toBeUndefined()
          await ledger.remember(odd, 'kept')
          expect(await ledger.recall(odd)).toBe('kept')
          expect(await ledger.lease(odd, 'one', 1_000)).toBe(true)
          expect(await ledger.lease(odd, 'two', 1_000)).toBe(false)
          await ledger.settle([], Object.fromEntries([[odd, 2]]))
          const { counters } = await ledger.usage()
          expect(Object.entries(counters)).toEqual([[odd, 2]])
        },
      )

      it('counts', async () => {
        await ledger.settle([], { calls: 2, received: 1 })
        await ledger.settle([], { calls: 3 })
        expect((await ledger.usage()).counters).toEqual({ calls: 5, received: 1 })
      })

      it('an empty batch is nothing', async () => {
        expect(await ledger.admit([], 'live')).toEqual([])
        expect(await ledger.firstStamps([])).toEqual([])
        await ledger.settle([])
        expect(await ledger.usage()).toMatchObject({ used: 0, counters: {} })
      })

      it('refuses more than a batch of settlements or events, and touches nothing', async () => {
        const many = <T>(one: T) => Array.from({ length: maxBatch + 1 }, () => one)
        const one = await sent(at(0))
        const settlement: Settlement = {
          visitorHash: visitor,
          token: one.token,
          attributes: [{ name: 'tier', stamp: at(0), outcome: 'delivered' }],
        }
        await expect(ledger.settle(many(settlement), { calls: 1 })).rejects.toThrow(RangeError)
        expect(await verdict(at(0))).toBe('contended')
        const event = unique()
        await expect(ledger.firstStamps(many({ event, stamp: at(0) }))).rejects.toThrow(RangeError)
        expect(await ledger.firstStamps([{ event, stamp: at(1) }])).toEqual([at(1)])
      })

      it('refuses more than a batch', async () => {
        await expect(
          ledger.admit(
            Array.from({ length: maxBatch + 1 }, () => request(at(0))),
            'live',
          ),
        ).rejects.toThrow(RangeError)
      })

      it('takes a whole batch', async () => {
        const answers = await ledger.admit(
          Array.from({ length: maxBatch }, () => request(at(0), { visitorHash: unique() })),
          'replay',
        )
        expect(answers.filter((answer) => answer.event === 'open' && answer.verdicts[0] === 'send')).toHaveLength(100)
      })
    })
  })
}
