/** `?dry_run=1`: what an event or a call would do, for an authenticated sender. Nothing is sent, kept or recorded. */

import * as z from 'zod'
import { previewOf } from '../../core/delivery/preview.ts'
import { given } from '../../core/given.ts'
import type { Update } from '../../core/update/update.ts'
import type { Wire } from '../../core/wire/calls.ts'
import type { MappedEvent } from '../source/mapping.ts'

/** Whether it is one. Anything but these four is refused: a misspelt trial must never be the real thing. */
export const dryRun = z
  .enum(['1', 'true', '0', 'false'])
  .optional()
  .transform((text) => text === '1' || text === 'true')

/** Whether a query parameter's name was meant as `dry_run`: on a hook, where others are the sender's own. */
export function isMisspeltTrial(name: string): boolean {
  return name !== 'dry_run' && name.toLowerCase().replace(/[^a-z]/g, '') === 'dryrun'
}

/** @param mapped the ids are those that the drafts give */
export function previewed(
  wire: Wire,
  mapped:
    | Exclude<MappedEvent, { ok: true }>
    | { ok: true; drafts: readonly { id?: string | undefined }[]; updates: readonly Update[] },
): object {
  if (!mapped.ok) return { dryRun: true, status: 'unmappable', reason: mapped.reason }
  const updates = mapped.updates.map((update, index) => {
    const id = mapped.drafts[index]?.id
    return { ...given({ id }), ...previewOf(update, wire) }
  })
  const units = updates.reduce((sum, update) => sum + update.units, 0)
  return { dryRun: true, status: updates.length === 0 ? 'ignored' : 'mapped', updates, units }
}
