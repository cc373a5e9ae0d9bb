/** `?dry_run=1`: what an event or a call would do, to whoever proved that it may. Nothing is sent, kept or recorded. */
import type { Context } from 'hono'
import { previewOf } from '../../core/delivery/preview.ts'
import type { Update } from '../../core/update/update.ts'
import type { Wire } from '../../core/wire/calls.ts'
import type { MappedEvent } from '../source/mapping.ts'

export type DryRun = 'yes' | 'no'

const said: ReadonlyMap<string, DryRun> = new Map([
  ['1', 'yes'],
  ['true', 'yes'],
  ['0', 'no'],
  ['false', 'no'],
])

/** Undefined where it can't be told: something that looks like a trial must never be the real thing. */
export function dryRunOf(c: Context): DryRun | undefined {
  return said.get(c.req.query('dry_run') ?? '0')
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
    return { ...(id === undefined ? {} : { id }), ...previewOf(update, wire) }
  })
  const units = updates.reduce((sum, update) => sum + update.units, 0)
  return { dryRun: true, status: updates.length === 0 ? 'ignored' : 'mapped', updates, units }
}
