/** The registers of a visitor: which value is sent, which waits, and which is dropped. */
import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/core/ledger/rules/register.ts'
import { at, type Bench, contractSettings, unique } from './bench.ts'

export function registerContract(bench: Bench): void {
  const { request, admit, verdict, settle, sent, used, aged } = bench

  describe('the register (G3)', () => {
    it('sends what is new, and knows afterwards that it was delivered', async () => {
      await settle(await sent(at(0)), 'delivered')
      expect(await verdict(at(0))).toBe('delivered')
      expect(await verdict(at(-1))).toBe('superseded')
      expect(await verdict(at(1))).toBe('send')
    })

    it('an update is superseded only by a newer one, not by another of the same time', async () => {
      await settle(await sent(at(0, 'a')), 'delivered')
      expect(await verdict(at(0, 'b'))).toBe('send')
    })

    it('while an attempt is in flight, newer ones are contended and older ones wait', async () => {
      await sent(at(10))
      expect(await verdict(at(20))).toBe('contended')
      expect(await verdict(at(10))).toBe('contended')
      expect(await verdict(at(0))).toBe('waits')
      bench.nowMs += contractSettings.inFlightMs
      expect(await verdict(at(20))).toBe('contended')
      bench.nowMs += 1
      expect(await verdict(at(0))).toBe('waits')
      expect(await verdict(at(20))).toBe('send')
    })

    it('after an unknown outcome an older value waits, and the same one is sent again', async () => {
      await settle(await sent(at(10)), 'unknown')
      aged()
      expect(await verdict(at(0))).toBe('waits')
      expect(await verdict(at(10))).toBe('send')
    })

    it('an unsent attempt restores what was open before it: clearing it would let an older value overtake', async () => {
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

    it('a refused attempt restores what was open below it, even after an unknown try of its own', async () => {
      await settle(await sent(at(5)), 'unknown')
      aged()
      await settle(await sent(at(10)), 'unknown')
      aged()
      await settle(await sent(at(10)), 'refused')
      expect(await verdict(at(0))).toBe('waits')
      expect(await verdict(at(5))).toBe('send')
    })

    it('what was delivered meanwhile is not reopened', async () => {
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

    it('a restored stamp with nothing below it leaves nothing open when it is refused', async () => {
      await settle(await sent(at(10)), 'unknown')
      aged()
      await settle(await sent(at(20)), 'unsent')
      await settle(await sent(at(10)), 'refused')
      expect(await verdict(at(0))).toBe('send')
    })

    it('two consecutive refusals leave open what was open below both', async () => {
      await settle(await sent(at(10)), 'unknown')
      aged()
      await settle(await sent(at(20)), 'unknown')
      aged()
      await settle(await sent(at(30)), 'refused')
      await settle(await sent(at(20)), 'refused')
      expect(await verdict(at(0))).toBe('waits')
      expect(await verdict(at(10))).toBe('send')
    })

    it('after an unsent second try and a refusal, what was open below is still open', async () => {
      await settle(await sent(at(10)), 'unknown')
      aged()
      await settle(await sent(at(20)), 'unknown')
      aged()
      await settle(await sent(at(20)), 'unsent')
      await settle(await sent(at(20)), 'refused')
      expect(await verdict(at(0))).toBe('waits')
    })

    it('a restored stamp is not in flight and has no owner: the attempt that opened it can’t close it', async () => {
      const first = await sent(at(10))
      aged()
      await settle(await sent(at(20)), 'unsent')
      await settle(first, 'unsent')
      expect(await verdict(at(0))).toBe('waits')
      expect(await verdict(at(10))).toBe('send')
    })

    it('a repeated attempt is only settled by the repeat’s token', async () => {
      const first = await sent(at(10))
      aged()
      const second = await sent(at(10))
      await settle(first, 'refused')
      expect(await verdict(at(20))).toBe('contended')
      await settle(second, 'refused')
      expect(await verdict(at(5))).toBe('send')
    })

    it('a delivery by an attempt that the ledger does not know still moves done on', async () => {
      await settle(request(at(10)), 'delivered')
      expect(await verdict(at(10))).toBe('delivered')
      expect(await verdict(at(5))).toBe('superseded')
    })

    it('settles each attribute by its own outcome', async () => {
      const names = ['a', 'b', 'c', 'd']
      const one = await sent(at(10), { attributes: names.map((name) => ({ name, stamp: at(10) })) })
      const ends: Outcome[] = ['delivered', 'unsent', 'refused', 'unknown']
      await bench.ledger.settle([
        {
          visitorHash: bench.visitor,
          token: one.token,
          attributes: names.map((name, index) => ({ name, stamp: at(10), outcome: ends[index] ?? 'unknown' })),
        },
      ])
      const answer = await admit(request(at(5), { attributes: names.map((name) => ({ name, stamp: at(5) })) }))
      expect(answer).toMatchObject({ verdicts: ['superseded', 'send', 'send', 'waits'] })
    })

    it('two requests for one visitor in a batch see each other', async () => {
      const older = request(at(10))
      const newer = request(at(20))
      const answers = await bench.ledger.admit([newer, older, request(at(30))], 'live')
      expect(answers).toMatchObject([{ verdicts: ['send'] }, { verdicts: ['waits'] }, { verdicts: ['contended'] }])
      expect(await used()).toBe(1)
    })

    it('two settlements for one visitor in a batch see each other', async () => {
      const names = ['a', 'b'].map((name) => ({ name, stamp: at(10) }))
      const [first, second] = names.map((attribute) => request(at(10), { attributes: [attribute] }))
      if (first === undefined || second === undefined) throw new Error('no request')
      await bench.ledger.admit([first, second], 'live')
      await bench.ledger.settle(
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
      bench.nowMs += contractSettings.retentionMs
      expect(await verdict(at(-1))).toBe('expired')
      expect(await verdict(at(0))).toBe('send')
      expect(await verdict(at(-1))).toBe('overtaken')
    })
  })
}
