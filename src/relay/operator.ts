/** What an operator can do, put together from the relay's parts. */
import type { Backlog } from '../core/backlog/port.ts'
import type { Clock } from '../core/clock.ts'
import { createPrepare } from '../core/delivery/prepare.ts'
import { given } from '../core/given.ts'
import type { Ledger } from '../core/ledger/port.ts'
import type { DeadOffice } from '../core/operator/dead/office.ts'
import { createErase } from '../core/operator/erase.ts'
import { takeOver } from '../core/operator/owner.ts'
import { createSeals } from '../core/operator/seals.ts'
import { createSeries } from '../core/operator/series.ts'
import { createFind } from '../core/operator/visitor/find-visitor.ts'
import { hashKeyName } from '../core/update/hash.ts'
import { createFetchProfile } from '../core/wire/profile.ts'
import type { FlushReport } from '../cron/report.ts'
import type { Act, Log, Operator } from '../edge/routes/parts.ts'
import type { RelayBase } from './base.ts'

export interface OperatorParts {
  readonly ledger: Ledger
  /** The ledger, whosever it is. */
  readonly unguarded: Ledger
  readonly backlog: Backlog
  readonly clock: Clock
  readonly log: Log
  readonly dead: DeadOffice
  /** One run of the flush. */
  readonly run: () => Promise<FlushReport>
  readonly status: Pick<Operator, 'status' | 'backlog' | 'throughWith'>
  readonly fetch: typeof globalThis.fetch
}

export function operatorOf(
  { settings, hasher, owner, seal, wire }: Pick<RelayBase, 'settings' | 'hasher' | 'owner' | 'seal' | 'wire'>,
  { ledger, unguarded, backlog, clock, log, dead, run, status, fetch }: OperatorParts,
): Operator {
  const maxOperations = settings.flushMaxOps
  const erase = createErase({ hasher, ledger, backlog, clock, maxOperations, log })
  return {
    usage: () => ledger.usage(),
    status: () => status.status(),
    backlog: () => status.backlog(),
    throughWith: (more) => status.throughWith(more),
    pause: async (paused) => {
      await ledger.pause(paused)
      log(paused ? 'paused' : 'resumed')
    },
    closeBreaker: () => ledger.closeBreaker(),
    restate: (units) => ledger.restate(units),
    confirmClock: () => ledger.confirmClock(),
    flush: () => run(),
    erase: async (visitor, cursor) => {
      const erased = await erase(visitor, cursor)
      if (erased !== 'unknown_cursor') {
        const { entries, deadLetters, mentioned, unreadable, complete } = erased
        log('erased', { entries, deadLetters, mentioned, unreadable, complete: complete ? 'yes' : 'no' })
      }
      return erased
    },
    seals: createSeals({ backlog, first: seal.first, clock, maxOperations }),
    find: createFind({ hasher, ledger, backlog, clock, maxOperations }),
    profile: createFetchProfile({
      origin: settings.targetOrigin,
      clientCode: settings.targetClientCode,
      ...given({ token: settings.targetToken }),
      timeoutMs: settings.targetTimeoutMs,
      fetch,
      clock,
    }),
    formHash: hasher.form,
    prepareSample: createPrepare({ hasher, wire, retentionMs: Number.MAX_SAFE_INTEGER }),
    series: createSeries({ ledger, clock }),
    moveOut: (cursor) => ledger.moveOut(cursor),
    moveIn: (part) => ledger.moveIn(part),
    restored: () => ledger.restored(),
    dead,
    hashKeyName: () => hashKeyName(hasher),
    takeOver: async (client) => {
      const problem = await takeOver(owner, unguarded, client)
      if (problem === undefined) log('store_taken_over', { from: client })
      return problem
    },
    record: (act) => ledger.recordAct(JSON.stringify(act)),
    acts: async () => (await ledger.acts()).flatMap(actOf),
  }
}

/** One that a later version wrote in another way is left out. */
function actOf(text: string): Act[] {
  try {
    const act = JSON.parse(text) as Act
    return typeof act.at === 'string' ? [act] : []
  } catch {
    return []
  }
}
