/**
 * Whose a store is. A relay of another account on the same ledger would share its quota, pause, breaker, lease and
 * registers; so the first relay on a ledger writes down whose it is, and another one is refused.
 *
 * Guarantee: nothing is asked of a ledger that is known to be another's, and nothing is kept beside it. What waits in a
 * backlog bears the account's mark of its own (`backlog/seal.ts`), since Workers KV can't be marked as a whole: two
 * relays that share one never read each other's updates.
 * Known hole: a ledger that does not answer can't be told; meanwhile updates are kept under their own mark. A relay
 * that found its ledger its own notices only at its next start that it was emptied or taken over, and is another
 * one's. To erase a visitor removes what waits of it for any account under the same `HASH_KEY`.
 */

import type { Backlog } from '../backlog/port.ts'
import { errorName } from '../errors.ts'
import { given } from '../given.ts'
import type { Ledger } from '../ledger/port.ts'
import type { Log } from '../log.ts'
import { type Hasher, hashKeyName } from '../update/hash.ts'

/** The account as the ledger stores it. It holds no secret, and enough to tell an operator what differs. */
interface Account {
  readonly client: string
  /** Present where Target is a stand-in on this machine: what it was told, the real one never heard. */
  readonly trial?: true
  /** Names `HASH_KEY`. */
  readonly hashKey: string
  /** Client codes that the ledger was taken over from (`takeOver`); what waits under their marks is its own. */
  readonly before?: readonly string[]
}

export interface Owner {
  /** The account as the ledger stores it, under `ownerMemo`. */
  readonly memo: string
  /** The account's mark in each backlog entry: a keyed hash, which tells nothing without `HASH_KEY`. */
  readonly mark: string
  /** The marks of the client codes that the ledger was taken over from; empty until the ledger was asked. */
  readonly marksBefore: Set<string>
}

export const ownerMemo = 'owner'
/** 64 bits: enough to distinguish accounts; no attacker gains by a collision. */
const markChars = 16

/** @param settings those that make an account */
export async function ownerOf(
  { targetClientCode: client, targetOrigin }: { readonly targetClientCode: string; readonly targetOrigin: string },
  hasher: Pick<Hasher, 'content'>,
): Promise<Owner> {
  const trial = targetOrigin.startsWith('http:') || undefined
  const account: Account = { client, ...given({ trial }), hashKey: await hashKeyName(hasher) }
  return { memo: JSON.stringify(account), mark: await markOf(account, hasher), marksBefore: new Set() }
}

async function markOf({ client, trial }: Pick<Account, 'client' | 'trial'>, hasher: Pick<Hasher, 'content'>) {
  const mark = await hasher.content(['the mark of an account', client, String(trial === true)])
  return mark.slice(0, markChars)
}

/** A store that belongs to another account. Its message may be told to an operator: it holds no secret. */
export class ForeignStore extends Error {
  override readonly name = 'ForeignStore'
  constructor(differs: readonly string[]) {
    super(
      `the ledger is another account's (${differs.join('; ')}): set that back, give this relay stores of its own, or correct a typo in the client code as docs/deploy.md has it`,
    )
  }
}

/** Undefined where the ledger is one's own. */
export function foreignBy(kept: string, memo: string): ForeignStore | undefined {
  if (kept === memo) return undefined
  const [theirs, own] = [readAccount(kept), JSON.parse(memo) as Account]
  if (theirs === undefined) return new ForeignStore(['another version wrote down whose it is'])
  const differs = [
    ...(theirs.client === own.client ? [] : [`its TARGET_CLIENT_CODE is ${theirs.client}, here it is ${own.client}`]),
    ...notTakenOver(theirs, own),
  ]
  return differs.length === 0 ? undefined : new ForeignStore(differs)
}

/** What makes two accounts that no operator's word makes one: names and values would mean something else. */
function notTakenOver(theirs: Account, own: Account): readonly string[] {
  return [
    ...(theirs.trial === own.trial
      ? []
      : [`TARGET_ORIGIN is ${own.trial ? '' : 'no '}stand-in on loopback, other than there`]),
    ...(theirs.hashKey === own.hashKey ? [] : ['its HASH_KEY is another']),
  ]
}

/**
 * An operator's word that the client code under which the ledger was first used was a typo: the ledger, and what waits
 * under that code's mark, becomes this account's. Only as long as Target accepted nothing under it: else its registers
 * tell what another profile holds. G4 rests on it.
 *
 * @param ledger unguarded
 * @param client the client code that the ledger bears
 * @returns what stands against it, having done nothing; undefined once the ledger is this account's
 */
export async function takeOver(
  { memo }: Pick<Owner, 'memo'>,
  ledger: Pick<Ledger, 'recall' | 'remember' | 'summary'>,
  client: string,
): Promise<string | undefined> {
  const kept = (await ledger.recall(ownerMemo)) ?? memo
  if (foreignBy(kept, memo) === undefined) return undefined
  const [theirs, own] = [readAccount(kept), JSON.parse(memo) as Account]
  if (theirs?.client !== client) return 'is not the client code that the ledger bears'
  const differs = notTakenOver(theirs, own)
  if (differs.length > 0) return `is not all that differs: ${differs.join('; ')}`
  if ((await ledger.summary()).health.saidYes)
    return 'is no typo: Target accepted updates under it, so give this relay stores of its own'
  const before = [...new Set([...(theirs.before ?? []), client])].filter((code) => code !== own.client)
  await ledger.remember(ownerMemo, JSON.stringify({ ...own, before } satisfies Account))
  return undefined
}

/** The marks of the client codes that a ledger was taken over from. */
async function marksOf(kept: string, hasher: Pick<Hasher, 'content'>): Promise<readonly string[]> {
  const { trial, before = [] } = readAccount(kept) ?? {}
  return Promise.all(before.map((client) => markOf({ client, ...given({ trial }) }, hasher)))
}

function readAccount(text: string): Account | undefined {
  try {
    const read: unknown = JSON.parse(text)
    return typeof read === 'object' && read !== null && 'client' in read && 'hashKey' in read
      ? (read as Account)
      : undefined
  } catch {
    return undefined
  }
}

/**
 * What a process or an isolate remembers: by account's memo, the marks that it took over where the ledger is its own,
 * or why it is not.
 */
export interface OwnerMemory {
  readonly owners: Map<string, ReadonlySet<string> | ForeignStore>
}

export interface OwnedParts {
  readonly ledger: Ledger
  readonly backlog: Backlog
  readonly hasher: Pick<Hasher, 'content'>
  readonly memory: OwnerMemory
  readonly log: Log
}

/**
 * Ledger and backlog that reject with `ForeignStore` where the ledger is another account's. Once it is known to be
 * one's own it is not asked again. While it is another's it is asked each time, so that the relay recovers without a
 * restart.
 */
export function ownedStores(
  { memo, marksBefore }: Owner,
  { ledger, backlog, hasher, memory, log }: OwnedParts,
): { ledger: Ledger; backlog: Backlog } {
  const own = async (): Promise<void> => {
    const known = memory.owners.get(memo)
    if (known !== undefined && !(known instanceof ForeignStore)) {
      for (const mark of known) marksBefore.add(mark)
      return
    }
    const kept = await ledger.rememberFirst(ownerMemo, memo)
    const foreign = foreignBy(kept, memo)
    // Once: every refused update has a line of its own.
    if (foreign !== undefined && !memory.owners.has(memo)) log('foreign_store', { error: foreign.message })
    if (foreign === undefined) for (const mark of await marksOf(kept, hasher)) marksBefore.add(mark)
    memory.owners.set(memo, foreign ?? marksBefore)
    if (foreign !== undefined) throw foreign
  }
  const behind =
    <Asked extends unknown[], T>(ask: (...asked: Asked) => Promise<T>) =>
    async (...asked: Asked): Promise<T> => {
      await own()
      return ask(...asked)
    }
  /** Rejects only if an earlier look at the ledger found it foreign; asks nothing itself. */
  const unlessForeign = (): void => {
    const known = memory.owners.get(memo)
    if (known instanceof ForeignStore) throw known
  }
  /** A ledger that is silent keeps nobody from the backlog, whose entries know whose they are. */
  const unlessFoundForeign =
    <Asked extends unknown[], T>(ask: (...asked: Asked) => Promise<T>) =>
    async (...asked: Asked): Promise<T> => {
      await own().catch((error: unknown) => {
        if (error instanceof ForeignStore) throw error
        log('owner_unknown', { error: errorName(error) })
      })
      return ask(...asked)
    }
  return {
    ledger: {
      kind: ledger.kind,
      admit: behind(ledger.admit),
      cancel: behind(ledger.cancel),
      settle: behind(ledger.settle),
      firstStamps: behind(ledger.firstStamps),
      summary: behind(ledger.summary),
      usage: behind(ledger.usage),
      series: behind(ledger.series),
      look: behind(ledger.look),
      confirmClock: behind(ledger.confirmClock),
      lease: behind(ledger.lease),
      release: behind(ledger.release),
      leaseAndRecall: behind(ledger.leaseAndRecall),
      rememberAndRelease: behind(ledger.rememberAndRelease),
      recall: behind(ledger.recall),
      recallAll: behind(ledger.recallAll),
      remember: behind(ledger.remember),
      rememberFirst: behind(ledger.rememberFirst),
      compareAndSet: behind(ledger.compareAndSet),
      check: behind(ledger.check),
      recordAct: behind(ledger.recordAct),
      acts: behind(ledger.acts),
      pause: behind(ledger.pause),
      closeBreaker: behind(ledger.closeBreaker),
      erase: behind(ledger.erase),
      restate: behind(ledger.restate),
      restored: behind(ledger.restored),
      visitor: behind(ledger.visitor),
      history: behind(ledger.history),
      moveOut: behind(ledger.moveOut),
      moveIn: behind(ledger.moveIn),
    },
    backlog: {
      get operations() {
        return backlog.operations
      },
      // An update is put after its admission was asked for: it need not wait for a silent ledger twice.
      put: async (entry) => {
        unlessForeign()
        return backlog.put(entry)
      },
      list: unlessFoundForeign(backlog.list),
      delete: unlessFoundForeign(backlog.delete),
      bury: unlessFoundForeign(backlog.bury),
      listDead: unlessFoundForeign(backlog.listDead),
      deadHeads: unlessFoundForeign(backlog.deadHeads),
      readDead: unlessFoundForeign(backlog.readDead),
      readDeads: unlessFoundForeign(backlog.readDeads),
      exchange: unlessFoundForeign(backlog.exchange),
      putText: unlessFoundForeign(backlog.putText),
      readText: unlessFoundForeign(backlog.readText),
      reseal: unlessFoundForeign(backlog.reseal),
      check: async () => {
        unlessForeign()
        return backlog.check()
      },
      ...given({
        purge: backlog.purge && unlessFoundForeign(backlog.purge),
        tally: backlog.tally && unlessFoundForeign(backlog.tally),
        heads: backlog.heads && unlessFoundForeign(backlog.heads),
        removesTogether: backlog.removesTogether,
      }),
    },
  }
}
