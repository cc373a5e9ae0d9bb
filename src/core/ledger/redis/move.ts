/** A ledger's state on Redis, out and in (`sql/move.ts` on SQL). */

import type { Life, MovedState, MovedVisitor } from '../moved.ts'
import { piecesOf } from '../moved-pieces.ts'
import { wholeAccount } from '../rules/settings.ts'
import { listOf, type Maybe } from './answers.ts'
import type { UpstashParts } from './parts.ts'
import { moveInScript, moveOutScript } from './scripts/move.ts'

/** Keys that one step looks at, about. */
const movedTogether = 200

type FoundRegister = Omit<MovedVisitor['registers'][number], 'open'> & { open: Maybe<string> }
type FoundVisitor = Omit<MovedVisitor, 'registers'> & { registers: Maybe<FoundRegister> }

/** What `moveOutScript` answers. */
interface Found {
  readonly cursor?: string
  readonly large?: Maybe<string>
  readonly scan?: string
  readonly units: Maybe<MovedState['units'][number]>
  readonly visitors: Maybe<FoundVisitor>
  readonly events: Maybe<MovedState['events'][number]>
  readonly lostMs?: number
  readonly life?: Life
}

/**
 * As `Ledger.moveOut`.
 *
 * @param cursor where SCAN goes on, and behind it the large hashes that are still to be moved: where HSCAN goes on, and
 * whose
 */
export async function moveOut(
  { scripts, keys, limits }: UpstashParts,
  cursor = '0',
): Promise<{ readonly part: MovedState; readonly cursor?: string }> {
  const [scan = '0', large, ...others] = cursor.split('|')
  const [, from, whose] = /^(\d+):(.*)$/s.exec(large ?? '') ?? []
  const found = (await scripts.call(moveOutScript, [], {
    prefix: keys.prefix,
    count: movedTogether,
    together: limits.registersPerPart,
    ...(whose === undefined ? { cursor: scan } : { large: whose, scan: from }),
  })) as Found
  const left = whose === undefined ? listOf(found.large ?? []).map((hash) => `0:${hash}`) : others
  if (whose !== undefined && found.scan !== '0') left.unshift(`${found.scan}:${whose}`)
  const next = [found.cursor ?? scan, ...left]
  const part = partOf(found)
  return next.length === 1 && next[0] === '0' ? { part } : { part, cursor: next.join('|') }
}

function partOf({ units, visitors, events, lostMs, life }: Found): MovedState {
  return {
    units: listOf(units),
    visitors: listOf(visitors).map(({ registers, ...visitor }) => ({
      ...visitor,
      registers: listOf(registers).map((register) => ({ ...register, open: listOf(register.open) })),
    })),
    events: listOf(events),
    ...(lostMs === undefined ? {} : { lostMs }),
    ...(life === undefined ? {} : { life }),
  }
}

/** As `Ledger.moveIn`. */
export async function moveIn({ scripts, keys, limits }: UpstashParts, part: MovedState): Promise<void> {
  for (const piece of piecesOf(part, limits.registersPerPart))
    await scripts.call(
      moveInScript,
      [
        keys.quota,
        keys.memo(`moved-in:${piece.id ?? ''}`),
        ...piece.units.map(({ account }) => (account === wholeAccount ? keys.quota : keys.source(account))),
        ...piece.visitors.map(({ hash }) => keys.visitor(hash)),
        ...piece.events.map(({ event }) => keys.event(event)),
      ],
      piece,
    )
}
