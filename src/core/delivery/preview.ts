/** What an update would send: the very calls, their sizes and what they cost of the quota. Nothing is sent or spent. */

import { given } from '../given.ts'
import { defaultLimits } from '../limits.ts'
import { isoTime } from '../time.ts'
import { stampTimeMs } from '../update/stamp.ts'
import type { Attribute, Update, Visitor } from '../update/update.ts'
import { type Call, encodeCalls, maxUnits, type Wire } from '../wire/calls.ts'
import { cutAttributes } from './parts.ts'

export interface Preview {
  readonly visitor: Visitor
  readonly attributes: readonly Attribute[]
  /** What it is ordered by, and until when it is held back, ISO 8601. */
  readonly occurredAt: string
  readonly notBefore?: string
  readonly calls: readonly Omit<Call, 'names'>[]
  readonly units: number
}

/** @param update as `prepare` gives it: known to fit Target's calls */
export function previewOf(update: Update, wire: Wire, limits = defaultLimits): Preview {
  const parts = cutAttributes(update.visitor, update.attributes, limits).map((attributes) => {
    const encoded = encodeCalls(update.visitor, attributes, wire)
    return encoded.ok ? encoded.calls : []
  })
  return {
    visitor: update.visitor,
    attributes: update.attributes,
    occurredAt: isoTime(stampTimeMs(update.stamp)),
    ...given({ notBefore: update.notBeforeMs === undefined ? undefined : isoTime(update.notBeforeMs) }),
    calls: parts.flat().map(({ names: _, ...call }) => call),
    units: parts.reduce((sum, calls) => sum + maxUnits(calls, wire.method), 0),
  }
}
