/**
 * A ledger's identity moves with its state, and a ledger that was replaced for a moment is recognised when it returns.
 * What was granted elsewhere meanwhile is charged (G1) and its order is void (G3). Run for each pair of implementations.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { maxReplaced, newEpochMemory, watchedLedger } from '../../src/core/ledger/loss/epoch.ts'
import type { AdmitRequest, Ledger, LedgerStore } from '../../src/core/ledger/port.ts'
import type { LedgerSettings } from '../../src/core/ledger/rules/settings.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { seededRandom } from '../support/clock.ts'
import { memoryWitness } from '../support/ledger.ts'
import { contractSettings } from './ledger.ts'

export type MakeStore = (settings: LedgerSettings, clock: { now: () => number }) => LedgerStore

const startMs = 1_790_000_000_000

export function ledgerIdentityContract(name: string, makeOne: MakeStore, makeOther: MakeStore): void {
  describe(`a ledger’s identity: ${name}`, () => {
    const settings: LedgerSettings = { ...contractSettings, quotaLimit: 20, replayReserve: 0 }
    const random = seededRandom(5)
    let nowMs = startMs
    let witness: ReturnType<typeof memoryWitness>
    let logged: string[]
    let [one, other]: LedgerStore[] = []
    const clock = { now: () => nowMs }
    /** An isolate that has just started, on this database. */
    const isolate = (store: LedgerStore | undefined, beside = witness): Ledger =>
      watchedLedger(store as LedgerStore, {
        witness: beside,
        memory: newEpochMemory(),
        random,
        log: (event) => logged.push(event),
      })
    beforeEach(() => {
      nowMs = startMs
      logged = []
      witness = memoryWitness()
      one = makeOne(settings, clock)
      other = makeOther(settings, clock)
    })

    const request = (): AdmitRequest => ({
      visitorHash: random.hex(8),
      attributes: [{ name: 'tier', stamp: makeStamp(nowMs, nowMs, random.hex(8)) }],
      units: 1,
      token: random.hex(12),
    })
    const verdict = async (ledger: Ledger, asked = request()) => {
      const [answer] = await ledger.admit([asked], 'live')
      return answer?.event === 'open' ? answer.verdicts[0] : answer?.event
    }
    const send = async (ledger: Ledger, times: number) => {
      for (let n = 0; n < times; n++) expect(await verdict(ledger)).toBe('send')
    }
    /** Sends until the quota refuses; how many were sent. */
    const spend = async (ledger: Ledger) => {
      let sent = 0
      while ((await verdict(ledger).catch(() => 'failed')) === 'send') sent++
      return sent
    }
    /** Moves the state as `ledger export` and `ledger import` do. */
    const move = async (
      from: LedgerStore | undefined,
      to: Pick<LedgerStore, 'moveIn'> | undefined,
      withLife = true,
    ) => {
      for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
        const out = await (from as LedgerStore).moveOut(cursor)
        const { life, ...part } = JSON.parse(JSON.stringify(out.part)) as typeof out.part
        await to?.moveIn(withLife && life !== undefined ? { ...part, life } : part)
        cursor = out.cursor
      }
    }
    /** A wrong URL for a while: another database answers, and the loss is noticed there. */
    const wrongly = async (store: LedgerStore | undefined) => {
      nowMs += 100
      const ledger = isolate(store)
      await verdict(ledger).catch(() => undefined)
      nowMs += 100
      return ledger
    }

    describe('it moves', () => {
      it('and the witness of the relay that is switched over sees no loss', async () => {
        await send(isolate(one), 6)
        await isolate(one).check()
        const old = request()
        await move(one, other)
        const moved = isolate(other)
        await moved.check()
        expect(await verdict(moved, old)).toBe('send')
        expect((await moved.usage()).used).toBe(7)
        expect((await moved.usage()).lostAtMs).toBeUndefined()
        expect(logged).toEqual([])
        expect(await spend(moved)).toBe(13)
      })

      it('also if all that it had granted has left the window', async () => {
        await send(isolate(one), 6)
        await isolate(one).check()
        nowMs += settings.quotaWindowMs + settings.quotaSlackMs + 200
        await move(one, other)
        expect(await spend(isolate(other))).toBe(20)
        expect(logged).toEqual([])
      })

      it('there and back without spending a unit twice', async () => {
        await send(isolate(one), 6)
        await move(one, other)
        await send(isolate(other), 6)
        await isolate(other).check()
        await move(other, one)
        const back = isolate(one)
        await back.check()
        expect(logged).toEqual([])
        // Its own grants come back with the rest and count twice, which is safe.
        expect(await spend(back)).toBe(2)
      })

      it('and if the old one is used again, it has gone back: what the new one granted is charged (G1)', async () => {
        await send(isolate(one), 6)
        await move(one, other)
        const old = request()
        await send(isolate(other), 5)
        await isolate(other).check()
        const again = isolate(one)
        await expect(verdict(again)).rejects.toThrow('its last grants')
        expect(await verdict(again, old)).toBe('lost')
        nowMs += settings.quotaSlackMs + 1
        expect((await spend(again)) + 11).toBeLessThanOrEqual(20)
      })

      it('into one that already has an identity, which it keeps', async () => {
        await send(isolate(one), 6)
        const beside = memoryWitness()
        await send(isolate(other, beside), 3)
        const before = await other?.life()
        await move(one, other)
        expect(await other?.life()).toMatchObject({ epoch: before?.epoch })
        await isolate(other, beside).check()
        expect(await spend(isolate(other, beside))).toBe(11)
        expect(logged).toEqual([])
      })

      it('without its identity, as in exports of older versions, which is a loss', async () => {
        await send(isolate(one), 6)
        await move(one, other, false)
        expect(await spend(isolate(other))).toBe(0)
        expect(logged).toContain('ledger_lost')
      })
    })

    describe('another database for a moment', () => {
      it.each(['an isolate that has just started', 'the isolate that knew it', 'a flush'])(
        'the returned ledger is recognised by %s',
        async (who) => {
          const before = isolate(one)
          await send(before, 6)
          const waiting = request()
          await before.check()
          await wrongly(other)
          const ledger = who.startsWith('the') ? before : isolate(one)
          if (who === 'a flush') await ledger.check()
          expect(await verdict(ledger, waiting)).toBe('send')
          await ledger.check()
          await isolate(one).check()
          expect((await ledger.usage()).used).toBe(7)
          expect((await ledger.usage()).lostAtMs).toBeUndefined()
          expect(logged.filter((event) => event !== 'ledger_returned')).toEqual(['ledger_lost'])
          expect(await witness.read()).toMatchObject({ epoch: (await one?.life())?.epoch, state: 'steady' })
        },
      )

      it('time and again', async () => {
        await send(isolate(one), 6)
        for (let times = 0; times < 5; times++) {
          await wrongly(other)
          expect(await verdict(isolate(one))).toBe('send')
        }
        expect((await one?.usage())?.used).toBe(11)
        expect((await one?.usage())?.lostAtMs).toBeUndefined()
      })

      it.each([
        ['told by a check', true],
        ['by an isolate that died', false],
      ])(
        'what was granted there is charged, and the order of everything before is unknown (%s)',
        async (_, checked) => {
          await send(isolate(one), 6)
          const waiting = request()
          const elsewhere = await wrongly(other)
          nowMs += settings.quotaSlackMs + 1
          await elsewhere.restate(0)
          await send(elsewhere, checked ? 5 : 1)
          if (checked) await elsewhere.check()
          const back = isolate(one)
          expect(await verdict(back, waiting)).toBe('lost')
          nowMs += settings.quotaSlackMs + 1
          expect(await spend(back)).toBe(checked ? 9 : 13)
          expect(logged).toContain('ledger_went_back')
          await isolate(one).check()
          expect((await back.usage()).used).toBe(20)
        },
      )

      it('what was granted in several other databases is charged', async () => {
        await send(isolate(one), 6)
        for (const store of [other, makeOther(settings, clock)]) {
          const elsewhere = await wrongly(store)
          await elsewhere.restate(0)
          nowMs += settings.quotaSlackMs + 1
          await send(elsewhere, 4)
          await elsewhere.check()
        }
        const back = isolate(one)
        await back.check()
        nowMs += settings.quotaSlackMs + 1
        expect(await spend(back)).toBe(6)
      })

      it('a grant that could not be told to the witness is not used', async () => {
        await send(isolate(one), 6)
        const elsewhere = await wrongly(other)
        await elsewhere.restate(0)
        nowMs += settings.quotaSlackMs + 1
        const { replace } = witness
        witness.replace = () => Promise.reject(new Error('SQLITE_BUSY'))
        await expect(verdict(elsewhere)).rejects.toThrow('SQLITE_BUSY')
        witness.replace = replace
        // Another isolate has returned to the right database: what is granted here would be charged nowhere.
        await send(isolate(one), 1)
        await expect(verdict(elsewhere)).rejects.toThrow('its epoch')
      })

      it('a returned ledger that has granted less than was known is lost (G1)', async () => {
        await send(isolate(one), 6)
        await isolate(one).check()
        const seen = witness.row as NonNullable<typeof witness.row>
        witness.row = { ...seen, granted: 7 }
        await wrongly(other)
        expect(await spend(isolate(one))).toBe(0)
        expect(logged).toEqual(['ledger_lost', 'ledger_lost'])
      })

      it('a loss does not hide grants that only the isolate knew that noticed it', async () => {
        const living = isolate(one)
        await send(living, 6)
        // The same process on another database: it knew of more grants than the witness.
        const away = { now: one as LedgerStore }
        const store = new Proxy({} as LedgerStore, { get: (_, name) => Reflect.get(away.now, name) as unknown })
        const ledger = isolate(store)
        await send(ledger, 4)
        away.now = other as LedgerStore
        await verdict(ledger).catch(() => undefined)
        expect(witness.row?.replaced?.at(-1)).toMatchObject({ granted: 10 })
      })

      it('a ledger that others went on using is recognised', async () => {
        const others = memoryWitness()
        await send(isolate(one), 6)
        await wrongly(other)
        await send(isolate(one, others), 5)
        expect(await spend(isolate(one))).toBe(9)
        expect(logged).toEqual(['ledger_lost', 'ledger_returned'])
      })

      it('a testimony of an older version is enough', async () => {
        await send(isolate(one), 6)
        const { epoch, state, granted } = witness.row as NonNullable<typeof witness.row>
        witness.row = { epoch, state, granted }
        await wrongly(other)
        expect(await verdict(isolate(one))).toBe('send')
      })

      it('a limited number of epochs is remembered', async () => {
        await send(isolate(one), 6)
        for (let n = 0; n < maxReplaced; n++) await wrongly(makeOther(settings, clock))
        expect(witness.row?.replaced).toHaveLength(maxReplaced)
        await wrongly(other)
        expect(witness.row?.replaced).toHaveLength(maxReplaced)
        expect(await spend(isolate(one))).toBe(0)
      })
    })

    describe('an operator says that it was restored', () => {
      it('the whole quota counts as spent, and the order of everything before is unknown (G1, G3)', async () => {
        const ledger = isolate(one)
        await send(ledger, 6)
        const old = request()
        nowMs += 100
        await isolate(one).restored()
        expect(await verdict(ledger, old)).toBe('lost')
        nowMs += settings.quotaSlackMs + 1
        expect(await spend(ledger)).toBe(0)
        expect((await ledger.usage()).used).toBe(20)
        expect(logged).toContain('ledger_restored')
        await ledger.restate(12)
        expect(await spend(ledger)).toBe(8)
      })

      it('other machines join it', async () => {
        const beside = memoryWitness()
        await send(isolate(one, beside), 3)
        await isolate(one).restored()
        nowMs += settings.quotaWindowMs + 2 * settings.quotaSlackMs
        await send(isolate(one, beside), 1)
        await send(isolate(one), 1)
      })

      it('its former epoch is never recognised again', async () => {
        await send(isolate(one), 6)
        await wrongly(other)
        await isolate(other).restored()
        expect(await spend(isolate(one))).toBe(0)
      })

      it('also if nothing is known of it', async () => {
        await isolate(one).restored()
        expect(await spend(isolate(one))).toBe(0)
      })
    })
  })
}
