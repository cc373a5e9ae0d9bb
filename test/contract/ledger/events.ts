/** Event ids: a repeat is told what became of the first attempt. */
import { describe, expect, it } from 'vitest'
import { at, type Bench, contractSettings, unique } from './bench.ts'

export function eventsContract(bench: Bench): void {
  const { request, admit, settle, sent, used, aged } = bench

  describe('event ids (G4)', () => {
    it('a repeat is in flight while the first attempt is, without extending it; then it is sent under the first stamp; once done it is a duplicate', async () => {
      const event = unique()
      await sent(at(0), { event })
      bench.nowMs += contractSettings.inFlightMs
      expect(await admit(request(at(100), { event }))).toEqual({ event: 'in_flight' })
      bench.nowMs += 1
      const again = request(at(200), { event })
      expect(await admit(again)).toMatchObject({ event: 'open', verdicts: ['send'], firstStamp: at(0) })
      await settle({ ...again, attributes: [{ name: 'tier', stamp: at(0) }] }, 'delivered', { eventDone: event })
      expect(await admit(request(at(300), { event }))).toEqual({ event: 'duplicate' })
    })

    it('the first stamp replaces the stamp of every attribute', async () => {
      const event = unique()
      await sent(at(0), { event, attributes: ['a', 'b'].map((name) => ({ name, stamp: at(0) })) })
      aged()
      await settle(await sent(at(5), { attributes: [{ name: 'b', stamp: at(5) }] }), 'delivered')
      const again = await admit(
        request(at(100), { event, attributes: ['a', 'b'].map((name) => ({ name, stamp: at(100) })) }),
      )
      expect(again).toMatchObject({ verdicts: ['send', 'superseded'], firstStamp: at(0) })
    })

    it('no first stamp is answered if it is the request’s own', async () => {
      const event = unique()
      const fresh = await admit(request(at(0), { event }))
      expect(fresh).not.toHaveProperty('firstStamp')
      aged()
      expect(await admit(request(at(0), { event }))).toEqual({ ...fresh, bucket: expect.any(Number) })
    })

    it('each new try is in flight for as long as the first was', async () => {
      const event = unique()
      await sent(at(0), { event })
      aged()
      await sent(at(0), { event })
      bench.nowMs += contractSettings.inFlightMs
      expect(await admit(request(at(0), { event }))).toEqual({ event: 'in_flight' })
      bench.nowMs += 1
      expect(await admit(request(at(0), { event }))).toMatchObject({ event: 'open' })
    })

    it('the second of one batch is in flight', async () => {
      const event = unique()
      const answers = await bench.ledger.admit(
        [request(at(0), { event }), request(at(1), { event, visitorHash: unique() })],
        'live',
      )
      expect(answers).toMatchObject([{ event: 'open', verdicts: ['send'] }, { event: 'in_flight' }])
      expect(await used()).toBe(1)
    })

    it('is recorded with its first stamp even if the quota refused it', async () => {
      const event = unique()
      expect(await admit(request(at(0), { event, units: 101 }))).toMatchObject({ event: 'open', verdicts: ['quota'] })
      expect(await admit(request(at(9), { event }))).toEqual({ event: 'in_flight' })
      aged()
      expect(await admit(request(at(9), { event }))).toMatchObject({ verdicts: ['send'], firstStamp: at(0) })
    })

    it('a held event is only recorded: no unit and no register, even when paused', async () => {
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
      await bench.ledger.pause(true)
      expect(await admit(request(at(9), { attributes: [{ name: 'b', stamp: at(9) }], hold: true }))).toMatchObject({
        verdicts: ['held'],
      })
      await bench.ledger.settle([{ visitorHash: bench.visitor, token: '', attributes: [], eventDone: event }])
      expect(await admit(request(at(7), { event, attributes, hold: true }))).toEqual({ event: 'duplicate' })
    })

    it('a held update that was delivered or superseded is answered so', async () => {
      await settle(await sent(at(5)), 'delivered')
      expect(await admit(request(at(5), { hold: true }))).toMatchObject({ verdicts: ['delivered'] })
      expect(await admit(request(at(4), { hold: true }))).toMatchObject({ verdicts: ['superseded'] })
    })

    it('an event that is done is no longer in flight; a settlement without the event does not change that', async () => {
      const event = unique()
      const one = await sent(at(0), { event })
      await settle(one, 'delivered')
      expect(await admit(request(at(0), { event }))).toEqual({ event: 'in_flight' })
      await settle(one, 'delivered', { eventDone: event })
      expect(await admit(request(at(0), { event }))).toEqual({ event: 'duplicate' })
    })

    it('an unknown event is recorded as done under the stamp of its settlement', async () => {
      const event = unique()
      await settle(request(at(7)), 'delivered', { eventDone: event })
      expect(await admit(request(at(9), { event }))).toEqual({ event: 'duplicate' })
      expect(await bench.ledger.firstStamps([{ event, stamp: at(9) }])).toEqual([at(7)])
    })

    it('done keeps the first stamp', async () => {
      const event = unique()
      await sent(at(0), { event })
      await settle(request(at(7)), 'delivered', { eventDone: event })
      expect(await bench.ledger.firstStamps([{ event, stamp: at(9) }])).toEqual([at(0)])
    })

    it('an event whose first stamp was asked for is in flight to live traffic, then is sent under that stamp', async () => {
      const event = unique()
      await bench.ledger.firstStamps([{ event, stamp: at(0) }])
      expect(await admit(request(at(5), { event }))).toEqual({ event: 'in_flight' })
      aged()
      expect(await admit(request(at(5), { event }))).toMatchObject({ verdicts: ['send'], firstStamp: at(0) })
    })

    it('equal events in one request have one first stamp', async () => {
      const event = unique()
      expect(
        await bench.ledger.firstStamps([
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

    it('an id with other content is reported, records nothing and costs nothing, until its record expires', async () => {
      const event = unique()
      const one = await sent(at(0), { event })
      const before = await used()
      expect(await admit(request(at(5, 'b'), { event }))).toEqual({ event: 'id_reused' })
      expect(await bench.ledger.firstStamps([{ event, stamp: at(6, 'b') }])).toEqual([null])
      await settle(one, 'delivered', { eventDone: event })
      expect(await admit(request(at(7, 'b'), { event }))).toEqual({ event: 'id_reused' })
      expect(await admit(request(at(8), { event }))).toEqual({ event: 'duplicate' })
      expect(await used()).toBe(before)
      expect(await bench.ledger.visitor(bench.visitor)).toEqual([{ name: 'tier', done: at(0) }])
    })

    it('what Target refused is rejected again without a unit; other content under its id is tried, under its own stamp', async () => {
      const event = unique()
      await settle(await sent(at(0), { event }), 'refused', { eventDone: event, eventRejected: true })
      const before = await used()
      expect(await admit(request(at(5), { event }))).toEqual({ event: 'rejected' })
      expect(await bench.ledger.firstStamps([{ event, stamp: at(6) }])).toEqual([at(0)])
      expect(await used()).toBe(before)
      const mended = await sent(at(7, 'b'), { event })
      expect(await admit(request(at(8, 'b'), { event }))).toEqual({ event: 'in_flight' })
      await settle(mended, 'delivered', { eventDone: event })
      expect(await admit(request(at(9, 'b'), { event }))).toEqual({ event: 'duplicate' })
    })

    it('the first stamp of other content than Target refused is its own', async () => {
      const event = unique()
      await settle(await sent(at(0), { event }), 'refused', { eventDone: event, eventRejected: true })
      expect(await bench.ledger.firstStamps([{ event, stamp: at(6, 'b') }])).toEqual([at(6, 'b')])
      expect(await admit(request(at(7, 'b'), { event }))).toEqual({ event: 'in_flight' })
    })

    it('a record of an older version, whose stamp ends with the event’s key, matches any content', async () => {
      const event = unique()
      await settle(await sent(at(0, event), { event }), 'delivered', { eventDone: event })
      expect(await admit(request(at(5, 'b'), { event }))).toEqual({ event: 'duplicate' })
    })

    it('asking for first stamps records what is unknown, and answers what is known', async () => {
      const [event, other] = [unique(), unique()]
      await sent(at(0), { event })
      expect(
        await bench.ledger.firstStamps([
          { event, stamp: at(50) },
          { event: other, stamp: at(60) },
        ]),
      ).toEqual([at(0), at(60)])
      expect(await bench.ledger.firstStamps([{ event: other, stamp: at(70) }])).toEqual([at(60)])
    })
  })
}
