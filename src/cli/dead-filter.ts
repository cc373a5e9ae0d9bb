/** Which dead letters a command means: by reason, source, time, visitor, or by their keys. */
import { given } from '../core/given.ts'
import { isoTime, readTime, timeForms } from '../core/time.ts'
import { type NamedVisitor, visitorOf } from './asking.ts'
import { Misuse } from './errors.ts'

export const filterOptions = {
  reason: { type: 'string' },
  source: { type: 'string' },
  before: { type: 'string' },
  visitor: { type: 'string' },
  'pc-id': { type: 'string' },
} as const

export const filterUsage =
  '[--reason <reason>] [--source <name>] [--before <time>] [--visitor <thirdPartyId> | --pc-id <pcId>]'

export interface Filter {
  readonly reason?: string
  readonly source?: string
  /** Set aside before then, ISO 8601. */
  readonly before?: string
  readonly visitor?: NamedVisitor
}

type Values = { readonly [Name in keyof typeof filterOptions]?: string | undefined }

/** @throws Misuse where a time is none, or two visitors are named */
export function filterOf(values: Values): Filter {
  const { reason, source, before, visitor, 'pc-id': pcId } = values
  const beforeMs = before === undefined ? undefined : readTime(before)
  if (before !== undefined && beforeMs === undefined) throw new Misuse(`--before ${timeForms}`)
  return given({
    reason,
    source,
    before: beforeMs === undefined ? undefined : isoTime(beforeMs),
    visitor: visitor === undefined && pcId === undefined ? undefined : visitorOf(visitor, pcId),
  })
}
