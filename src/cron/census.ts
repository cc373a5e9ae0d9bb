/**
 * The census: what waits in a backlog that can't count itself (KV), counted behind the flush. One page that the flush
 * has read anyway is not listed again; more is listed, a thousand keys an operation.
 *
 * Guarantee (G9): whole in one run where the run's share has a list for every page, and each part with the time of its
 * count where it has not; a part is counted by one run or not at all, but for one visitor who has more than a run can
 * list. Idle runs ask for nothing, and what is scarce is shared with the duties behind it.
 * Known hole: a list of KV may be a minute behind, and what it misses or shows too long is counted so.
 */
import { entryHeadOf, headOfEntry } from '../core/backlog/entry-format.ts'
import type { Backlog, EntryHead, Tally } from '../core/backlog/port.ts'
import { countOne, createTally, sumOf } from '../core/backlog/tally.ts'
import type { Clock } from '../core/clock.ts'
import { isPlatformLimit } from '../core/errors.ts'
import { given } from '../core/given.ts'
import type { Ledger } from '../core/ledger/port.ts'
import type { Limits } from '../core/limits.ts'
import { type CensusPart, censusMemo, readCensus, writeCensus } from '../core/operator/census.ts'
import type { Duty, Share } from './duties.ts'
import type { FlushReport } from './report.ts'
import { hexDigits } from './segments.ts'

export interface CensusParts {
  readonly backlog: Backlog
  readonly ledger: Pick<Ledger, 'recall' | 'remember'>
  readonly clock: Pick<Clock, 'now'>
  readonly limits: Pick<Limits, 'keysPerPage' | 'deadPagesPerRun' | 'dutyOperations'>
  /** Outlives this, where the process or isolate does. */
  readonly memory: CensusMemory
}

export interface CensusMemory {
  /** When dead letters were last known to have been counted, epoch ms. */
  deadCountedAtMs?: number | undefined
}

export interface Counting {
  /** For the flush: the backlog, whose pages and changes are noted. */
  readonly backlog: Backlog
  readonly duty: Duty
}

/** Live rejections are not announced: with nothing else to do, dead letters are counted this often. */
const deadAgeMs = 15 * 60_000

export function createCensus({ backlog, ledger, clock, limits, memory }: CensusParts): Counting {
  const { heads } = backlog
  // A store that counts by itself needs no census.
  if (heads === undefined) return { backlog, duty: { name: 'census', work: async () => {} } }
  const watched = watch(backlog)
  /** Half of what duties always have is left to those behind it. */
  const left = Math.floor(limits.dutyOperations / 2)

  return {
    backlog: watched.backlog,
    duty: {
      name: 'census',
      async work(all, report) {
        const share: Share = { has: (operations = 0) => all.has(operations + left) }
        const whole = watched.whole()
        // That nothing waits the report says.
        const idle = foundNothing(report)
        if (idle && !isDeadDue(report, memory.deadCountedAtMs)) return
        let census = readCensus(await ledger.recall(censusMemo))
        memory.deadCountedAtMs = census.dead?.atMs
        const deadIsDue = census.deadSoFar !== undefined || isDeadDue(report, census.dead?.atMs)
        if (idle && !deadIsDue) return
        try {
          if (deadIsDue) await countDead()
          if (idle) return
          if (whole !== undefined) keep([partOf('', whole)])
          else await countParts()
        } finally {
          // What was counted counts, also where the store ended the rest.
          await ledger.remember(censusMemo, writeCensus(census))
        }

        function keep(parts: readonly CensusPart[]): void {
          census = { ...census, parts }
        }

        async function countParts(): Promise<void> {
          const known = census.parts.flatMap(({ counted }) => counted ?? [])
          const pages = Math.ceil(sumOf(known.map(({ tally }) => tally)).waiting / limits.keysPerPage) + 1
          const oldestFirst = census.parts.toSorted((a, b) => (a.counted?.atMs ?? 0) - (b.counted?.atMs ?? 0))
          const isSettled = census.parts.every(({ counted, soFar }) => counted !== undefined && soFar === undefined)
          const wholeFits = isSettled && share.has(pages)
          const parts = wholeFits || oldestFirst.length === 0 ? [{ prefix: '' }] : oldestFirst
          for (const [index, part] of parts.entries()) {
            const counted = await countPart(part, share)
            // Too much for a whole run: its parts are counted by themselves from now on.
            if (counted.complete || (index === 0 && counted.listed)) keep(withParts(census.parts, part.prefix, counted))
            else if (isUnknownCursor(counted)) keep(census.parts.map((one) => (one === part ? withoutSoFar(one) : one)))
            if (counted.failure !== undefined) throw counted.failure
            if (!counted.complete) return
          }
        }

        async function countDead(): Promise<void> {
          const { deadSoFar, ...rest } = census
          const byReason = { ...deadSoFar?.byReason }
          const bySource = { ...deadSoFar?.bySource }
          const atMs = deadSoFar?.atMs ?? clock.now()
          let cursor = deadSoFar?.cursor
          let failure: unknown
          let pages = 0
          for (; pages < limits.deadPagesPerRun && share.has(1); pages++) {
            const page = await backlog.deadHeads(given({ cursor })).catch((error: unknown) => {
              failure = error
            })
            if (page === undefined) break
            for (const { head } of page.items) {
              countOne(byReason, head?.reason)
              countOne(bySource, head?.source)
            }
            cursor = page.cursor
            if (cursor === undefined) {
              memory.deadCountedAtMs = atMs
              census = { ...rest, dead: { atMs, byReason, bySource } }
              return
            }
          }
          census = rest
          if (cursor !== undefined && !isUnknownCursor({ listed: pages > 0, failure }))
            census = { ...rest, deadSoFar: { atMs, byReason, bySource, cursor } }
          if (failure !== undefined) throw failure
        }
      },
    },
  }

  function isDeadDue({ dead }: FlushReport, countedAtMs: number | undefined): boolean {
    // Also if the clock was set back.
    return dead > 0 || countedAtMs === undefined || Math.abs(clock.now() - countedAtMs) >= deadAgeMs
  }

  /**
   * Lists a part to its end, or until the share ends: then what of its sixteenths is complete. One visitor can't be
   * divided: where no other was seen, it says where to go on.
   */
  async function countPart({ prefix, soFar }: CensusPart, share: Share): Promise<PartCount> {
    const done = new Map<string, Tally>()
    const atMs = soFar?.atMs
    let digit = soFar?.tally.visitor.hash[prefix.length] ?? ''
    let tally = createTally(soFar?.tally)
    const close = () => {
      if (digit !== '') done.set(digit, tally.done())
      tally = createTally()
    }
    let cursor = soFar?.cursor
    let failure: unknown
    let listed = false
    while (share.has(1)) {
      const page = await heads?.(given({ prefix, cursor })).catch((error: unknown) => {
        failure = error
      })
      if (page === undefined) break
      listed = true
      for (const head of page.items) {
        const next = head.visitorHash[prefix.length] ?? ''
        if (next !== digit) close()
        digit = next
        tally.add(head)
      }
      cursor = page.cursor
      if (cursor !== undefined) continue
      close()
      return { complete: true, listed, parts: [partOf(prefix, sumOf([...done.values()]), atMs)] }
    }
    const kept = tally.soFar()
    if (cursor !== undefined && done.size === 0 && (soFar !== undefined || kept.visitors === 0))
      return { complete: false, listed, failure, parts: [], soFar: { atMs: atMs ?? clock.now(), tally: kept, cursor } }
    // What comes before the digit where it ended and has no entry was found empty.
    const before = [...hexDigits].filter((other) => other < digit)
    const parts = before.map((other) => partOf(prefix + other, done.get(other) ?? sumOf([]), atMs))
    return { complete: false, listed, failure, parts }
  }

  function partOf(prefix: string, tally: Tally, atMs = clock.now()): CensusPart {
    return { prefix, counted: { atMs, tally } }
  }
}

/** Nothing waits anywhere. */
export function foundNothing({ stopped, read }: Partial<FlushReport>): boolean {
  return stopped === 'drained' && read === 0
}

interface PartCount {
  readonly complete: boolean
  /** Whether a page was listed in this run; and what ended it, if not its share. */
  readonly listed: boolean
  readonly failure?: unknown
  /** What is counted to its end. */
  readonly parts: readonly CensusPart[]
  readonly soFar?: NonNullable<CensusPart['soFar']>
}

/** It may know no longer where the last run stopped: then the count is begun anew. */
function isUnknownCursor({ listed, failure }: Pick<PartCount, 'listed' | 'failure'>): boolean {
  return !listed && failure !== undefined && !isPlatformLimit(failure)
}

function withoutSoFar({ soFar, ...part }: CensusPart): CensusPart {
  return part
}

/** What was counted takes the place of `prefix`; of what was not, what was known before stays. */
function withParts(
  known: readonly CensusPart[],
  prefix: string,
  { complete, parts, soFar }: PartCount,
): readonly CensusPart[] {
  const others = known.filter((part) => !part.prefix.startsWith(prefix))
  if (complete) return [...others, ...parts]
  if (soFar !== undefined) return [...others, { prefix, ...known.find((part) => part.prefix === prefix), soFar }]
  const rest = [...hexDigits].flatMap((digit) => {
    const own = prefix + digit
    if (parts.some((part) => part.prefix === own)) return []
    const before = known.filter((part) => part.prefix.startsWith(own))
    return before.length > 0 ? before : [{ prefix: own }]
  })
  return [...others, ...parts, ...rest]
}

/** Where the first page that a flush reads is the whole backlog, it needs no list: what came and went is noted. */
function watch(backlog: Backlog) {
  let held: Map<string, EntryHead> | undefined
  const watched: Backlog = Object.assign(Object.create(backlog) as Backlog, {
    list: async (options: Parameters<Backlog['list']>[0] = {}) => {
      const page = await backlog.list(options)
      if (options.prefix === undefined && options.cursor === undefined)
        held =
          page.cursor === undefined
            ? new Map(
                page.items.map((item) => [
                  item.key,
                  'entry' in item ? headOfEntry(item.key, item.entry) : entryHeadOf(item.key, undefined, () => 0),
                ]),
              )
            : undefined
      return page
    },
    put: async (entry: Parameters<Backlog['put']>[0]) => {
      const key = await backlog.put(entry)
      held?.set(key, headOfEntry(key, entry))
      return key
    },
    delete: async (key: string) => {
      await backlog.delete(key)
      held?.delete(key)
    },
    exchange: async (puts: Parameters<Backlog['exchange']>[0], deletes: readonly string[]) => {
      await backlog.exchange(puts, deletes)
      for (const key of deletes) held?.delete(key)
      // Under which keys is not said.
      if (puts.length > 0) held = undefined
    },
  })
  return {
    backlog: watched,
    /** Given once; undefined where there is more than a page, or nothing was read. */
    whole(): Tally | undefined {
      const heads = [...(held?.values() ?? [])].sort((a, b) => (a.key < b.key ? -1 : 1))
      if (held === undefined) return undefined
      held = undefined
      const tally = createTally()
      for (const head of heads) tally.add(head)
      return tally.done()
    },
  }
}
