/** Lost state is noticed, and updates are deferred; the quota is never spent again. Run against each implementation. */

import { beforeEach, describe, expect, it } from 'vitest'
import { newEpochMemory, type Witness, watchedLedger } from '../../src/core/ledger/loss/epoch.ts'
import type { AdmitRequest, Ledger, LedgerStore } from '../../src/core/ledger/port.ts'
import type { LedgerSettings } from '../../src/core/ledger/rules/settings.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { seededRandom } from '../support/clock.ts'
import { memoryWitness } from '../support/ledger.ts'
import { contractSettings } from './ledger.ts'

export interface LosableStore {
  readonly store: LedgerStore
  /** Forgets everything. */
  wipe(): Promise<void>
  /** Saves the state; the returned function restores it. */
  snapshot(): Promise<() => Promise<void>>
}

const startMs = 1_790_000_000_000

export function ledgerLossContract(
  name: string,
  make: (settings: LedgerSettings, clock: { now: () => number }) => Promise<LosableStore>,
): void {
  describe(`lost state: ${name}`, () => {
    const settings: LedgerSettings = { ...contractSettings, quotaLimit: 20, replayReserve: 0 }
    const random = seededRandom(3)
    let nowMs = startMs
    let made: LosableStore
    let witness: Witness
    let logged: string[]
    const isolate = (beside: Witness = witness): Ledger =>
      watchedLedger(made.store, {
        witness: beside,
        memory: newEpochMemory(),
        random,
        log: (event) => logged.push(event),
      })
    beforeEach(async () => {
      nowMs = startMs
      logged = []
      witness = memoryWitness()
      made = await make(settings, { now: () => nowMs })
    })

    const request = (more: Partial<AdmitRequest> = {}): AdmitRequest => ({
      visitorHash: random.hex(8),
      attributes: [{ name: 'tier', stamp: makeStamp(nowMs, nowMs, random.hex(8)) }],
      units: 1,
      token: random.hex(12),
      ...more,
    })
    const verdict = async (ledger: Ledger, one = request()) => {
      const [answer] = await ledger.admit([one], 'live')
      return answer?.event === 'open' ? answer.verdicts[0] : answer?.event
    }
    /** Sends until the quota refuses; how many were sent. */
    const spend = async (ledger: Ledger) => {
      let sent = 0
      while ((await verdict(ledger)) === 'send') sent++
      return sent
    }

    it('a first start is not a loss', async () => {
      expect(await verdict(isolate())).toBe('send')
      expect(await verdict(isolate())).toBe('send')
      expect((await isolate().usage()).lostAtMs).toBeUndefined()
      expect(logged).toEqual([])
    })

    it('two isolates that start at once agree', async () => {
      const [one, other] = [isolate(), isolate()]
      expect(await Promise.all([verdict(one), verdict(other)])).toEqual(['send', 'send'])
      expect((await one.usage()).used).toBe(2)
    })

    it.each(['the isolate that knew it', 'an isolate that has just started'])(
      'all state gone: %s sends nothing, and the quota is not spent again (G1)',
      async (who) => {
        const before = isolate()
        expect(await spend(before)).toBe(20)
        await made.wipe()
        nowMs += 1_000
        const ledger = who.startsWith('the') ? before : isolate()
        await verdict(ledger).catch(() => undefined)
        expect(await spend(ledger)).toBe(0)
        expect(logged).toContain('ledger_lost')
        expect((await ledger.usage()).lostAtMs).toBeGreaterThanOrEqual(nowMs)
      },
    )

    /** A noticed loss, and a request from before it. */
    const lost = async () => {
      const ledger = isolate()
      const old = request()
      await verdict(ledger)
      await made.wipe()
      nowMs += 100
      await verdict(ledger).catch(() => undefined)
      return { ledger, old }
    }

    it('after a window it sends again what is newer than the loss; what is older stays lost (G3)', async () => {
      const { ledger, old } = await lost()
      nowMs += settings.quotaWindowMs + settings.quotaSlackMs + 200
      expect(await verdict(ledger, old)).toBe('lost')
      expect(await verdict(ledger)).toBe('send')
    })

    it('a loss keeps the time at which it was found, even if the clock is set back and confirmed: nothing older is sent (G3)', async () => {
      const { ledger, old } = await lost()
      nowMs -= 30 * 60_000
      await ledger.confirmClock()
      const untilMs = nowMs + 30 * 60_000 + settings.quotaSlackMs
      const seen = new Set<string | undefined>()
      for (nowMs += settings.longestInFlightMs + 1; nowMs <= untilMs; nowMs += 60_000)
        seen.add(await verdict(ledger, old))
      expect([...seen].sort()).toEqual(['ahead', 'lost'])
    })

    it('several isolates notice a loss only once', async () => {
      const first = isolate()
      const isolates = [first, isolate(), isolate()]
      for (const one of isolates) await verdict(one)
      await made.wipe()
      await Promise.allSettled(isolates.map((one) => verdict(one)))
      const { lostAtMs } = await first.usage()
      nowMs += settings.quotaWindowMs + settings.quotaSlackMs + 200
      for (const one of isolates) expect(await verdict(one)).toBe('send')
      expect((await first.usage()).lostAtMs).toBe(lostAtMs)
    })

    describe('machines with a witness each, on one ledger', () => {
      /** Each asks in turn, several times. */
      const askAll = async (ledgers: readonly Ledger[]) => {
        for (let round = 0; round < 3; round++)
          for (const ledger of ledgers) {
            nowMs += 10
            await ledger.check().catch(() => undefined)
            await verdict(ledger).catch(() => undefined)
          }
      }
      const windowPasses = () => {
        nowMs += settings.quotaWindowMs + settings.quotaSlackMs + 200
      }

      it('agree on one epoch, notice its loss once, and all go on', async () => {
        const machines = [isolate(memoryWitness()), isolate(memoryWitness()), isolate(memoryWitness())]
        for (const one of machines) expect(await verdict(one)).toBe('send')
        await made.wipe()
        nowMs += 100
        await askAll(machines)
        const { lostAtMs, used } = await (machines[0] as Ledger).usage()
        expect(used).toBe(20)
        windowPasses()
        await askAll(machines)
        for (const one of machines) expect(await verdict(one)).toBe('send')
        expect((await (machines[0] as Ledger).usage()).lostAtMs).toBe(lostAtMs)
      })

      it('one that was down during several losses joins the others', async () => {
        const [present, away] = [isolate(memoryWitness()), isolate(memoryWitness())]
        await verdict(present)
        await verdict(away)
        for (let loss = 0; loss < 3; loss++) {
          await made.wipe()
          nowMs += 100
          await askAll([present])
        }
        // The state it knew was lost twice since: it may notice a loss of its own, once.
        await askAll([away, present])
        const { lostAtMs } = await present.usage()
        windowPasses()
        await askAll([away, present])
        for (const one of [present, away]) expect(await verdict(one)).toBe('send')
        expect((await present.usage()).lostAtMs).toBe(lostAtMs)
      })

      it('a ledger that goes back is charged once for what was forgotten', async () => {
        const machines = [isolate(memoryWitness()), isolate(memoryWitness())]
        for (const one of machines) await verdict(one)
        const goBack = await made.snapshot()
        for (let n = 0; n < 4; n++) for (const one of machines) await verdict(one)
        for (const one of machines) await one.check()
        await goBack()
        nowMs += 100
        for (const one of machines) await one.check()
        expect((await (machines[0] as Ledger).usage()).used).toBe(10)
      })

      it('somebody else’s ledger is not taken for this one: nothing is sent (G1)', async () => {
        const mine = isolate(memoryWitness())
        await verdict(mine)
        await made.wipe()
        await made.store.begin('another-deployment', { lost: false })
        nowMs += 100
        await askAll([mine])
        expect(await verdict(mine)).not.toBe('send')
        nowMs += settings.quotaSlackMs + 1
        expect(await verdict(mine)).toBe('quota')
      })

      it('nor is an epoch that a new machine began before the loss was noticed: all agree on the one that records the loss', async () => {
        const old = isolate(memoryWitness())
        await verdict(old)
        await made.wipe()
        nowMs += 100
        const fresh = isolate(memoryWitness())
        await verdict(fresh)
        await askAll([old, fresh])
        expect((await old.usage()).used).toBe(20)
        windowPasses()
        await askAll([fresh, old])
        for (const one of [old, fresh]) expect(await verdict(one)).toBe('send')
      })
    })

    it('if an isolate dies while it begins a new epoch, another one completes it', async () => {
      await verdict(isolate())
      await made.wipe()
      const seen = await witness.read()
      await witness.replace(seen, { epoch: 'begun', state: 'lost', granted: 0 })
      expect(await spend(isolate())).toBe(0)
      expect(await witness.read()).toMatchObject({ epoch: 'begun', state: 'steady' })
    })

    it('went back: the isolate that knows of more grants sends nothing, charges what was forgotten, and goes on (G1)', async () => {
      const ledger = isolate()
      await verdict(ledger)
      const old = request()
      const goBack = await made.snapshot()
      for (let n = 0; n < 9; n++) await verdict(ledger)
      await goBack()
      nowMs += 100
      await expect(verdict(ledger)).rejects.toThrow('lost')
      expect((await ledger.usage()).used).toBe(10)
      expect(await verdict(ledger, old)).toBe('lost')
      nowMs += settings.quotaSlackMs + 1
      expect(await spend(ledger)).toBe(10)
    })

    it('went back: a check against the witness notices it if no isolate remembers', async () => {
      const ledger = isolate()
      await verdict(ledger)
      const goBack = await made.snapshot()
      for (let n = 0; n < 9; n++) await verdict(ledger)
      await ledger.check()
      await goBack()
      const fresh = isolate()
      await fresh.check()
      expect((await fresh.usage()).used).toBe(10)
      expect(logged).toEqual(['ledger_went_back'])
      await fresh.check()
      expect((await fresh.usage()).used).toBe(10)
    })

    it('a check of a steady ledger changes nothing', async () => {
      const ledger = isolate()
      await ledger.check()
      await verdict(ledger)
      await ledger.check()
      await isolate().check()
      expect(logged).toEqual([])
      expect((await ledger.usage()).used).toBe(1)
    })

    it('a check frees units that have left the window', async () => {
      const ledger = isolate()
      expect(await spend(ledger)).toBe(20)
      nowMs += settings.quotaWindowMs + settings.quotaSlackMs + 2 * settings.quotaBucketMs
      await ledger.check()
      await ledger.check()
      expect(await spend(ledger)).toBe(20)
    })

    it('a lost witness learns the epoch again', async () => {
      const ledger = isolate()
      await verdict(ledger)
      witness = memoryWitness()
      expect(await verdict(isolate())).toBe('send')
      expect(await verdict(ledger)).toBe('send')
      expect(logged).toEqual([])
    })

    it('an operator who knows what was spent ends the wait', async () => {
      const ledger = isolate()
      await verdict(ledger)
      await made.wipe()
      await verdict(ledger).catch(() => undefined)
      nowMs += settings.quotaSlackMs + 1
      expect(await verdict(ledger)).toBe('quota')
      await ledger.restate(12)
      expect(await spend(ledger)).toBe(8)
    })
  })
}
