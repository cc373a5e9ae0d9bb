/** What goes onto a visitor's time line: one happening for each attempt that became something. */
import { given } from '../given.ts'
import type { Note } from '../ledger/rules/history.ts'
import { deferReasons, setAsideReasons } from '../update/reasons.ts'
import { isRefused, type Standing, standing } from './fate.ts'
import type { Part } from './parts.ts'
import type { FatedAttribute, Passage } from './passage.ts'
import type { Receipt } from './receipt.ts'

type Become = Pick<Note, 'kind' | 'digit'> & { readonly standing: Standing }

/** Of an update that came in now; undefined where nothing became of it. */
export function liveNote(part: Part, { event, attributes }: Passage, receipt: Receipt): Note | undefined {
  const become = becomeOf(receipt)
  if (event !== 'open' || become === undefined) return undefined
  const { standing: wanted, ...rest } = become
  return {
    ...rest,
    source: part.source,
    names: namesOf(attributes.filter(({ fate }) => standing(fate) === wanted)),
    stamp: attributes[0]?.stamp ?? part.stamp,
  }
}

function becomeOf(receipt: Receipt): Become | undefined {
  switch (receipt.status) {
    case 'submitted':
      return { kind: 's', standing: 'done' }
    case 'superseded':
      return { kind: 'p', standing: 'done' }
    case 'unchanged':
      return { kind: 'u', standing: 'done' }
    case 'deferred':
      return { kind: 'd', digit: deferReasons.indexOf(receipt.reason), standing: 'open' }
    case 'rejected':
      return { kind: 'j', standing: 'dead' }
    case 'set_aside':
      return { kind: 'a', digit: setAsideReasons.indexOf(receipt.reason), standing: 'dead' }
    default:
      return undefined
  }
}

/** Of an attempt at replay that Target was asked about. */
export function replayNote({ attempt, attributes }: Passage): Note | undefined {
  const [source, ...others] = attempt.sources
  const note = (kind: Note['kind'], some: readonly FatedAttribute[], digit?: number): Note => ({
    kind,
    names: namesOf(some),
    stamp:
      some
        .map(({ stamp }) => stamp)
        .sort()
        .at(-1) ?? '',
    ...given({ digit, source: others.length === 0 ? source : undefined }),
  })
  const having = (has: (fate: FatedAttribute['fate']) => boolean) => attributes.filter(({ fate }) => has(fate))
  const sent = having((fate) => fate === 'sent_delivered')
  const merged = Math.min(9, attempt.mergedEntries ?? 0)
  if (sent.length > 0) return note('r', sent, merged > 0 ? merged : undefined)
  const refused = having((fate) => isRefused(fate) || fate === 'sent_denied')
  if (refused.length > 0) return note('j', refused)
  const unknown = having((fate) => fate === 'sent_unknown')
  return unknown.length > 0 ? note('e', unknown, deferReasons.indexOf('target_unavailable')) : undefined
}

function namesOf(attributes: readonly { readonly name: string }[]): readonly string[] {
  return attributes.slice(0, namesNoted).map(({ name }) => name)
}

/** More do not fit. */
const namesNoted = 26
