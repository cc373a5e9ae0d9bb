/** What waits, counted two ways: as the backlog's port says it, and plainly from whole entries. */
import type { Backlog, DeadCounts, Entry, Tally } from '../../src/core/backlog/port.ts'
import { createTally } from '../../src/core/backlog/tally.ts'
import { encodeCalls, type Wire } from '../../src/core/wire/calls.ts'
import { mergeNewest } from '../../src/cron/merge.ts'

/** By the store itself where it counts, else from the heads that it lists. */
export async function tallyOf(backlog: Backlog): Promise<{ readonly waiting: Tally; readonly dead: DeadCounts }> {
  if (backlog.tally !== undefined) return backlog.tally()
  const tally = createTally()
  for (let cursor: string | undefined; ; ) {
    const page = await backlog.heads?.(cursor === undefined ? {} : { cursor })
    for (const head of page?.items ?? []) tally.add(head)
    cursor = page?.cursor
    if (cursor === undefined) break
  }
  const dead = { byReason: {} as Record<string, number>, bySource: {} as Record<string, number> }
  for (let cursor: string | undefined; ; ) {
    const page = await backlog.deadHeads(cursor === undefined ? {} : { cursor })
    for (const { head } of page.items) {
      add(dead.byReason, head?.reason ?? 'unknown')
      add(dead.bySource, head?.source ?? 'unknown')
    }
    cursor = page.cursor
    if (cursor === undefined) return { waiting: tally.done(), dead }
  }
}

/** The oracle: what is known of whole entries, without any head. */
export function plainTally(entries: readonly Entry[]) {
  const [bySource, byReason]: Record<string, number>[] = [{}, {}]
  for (const { source, reason } of entries) {
    add(bySource ?? {}, source)
    add(byReason ?? {}, reason ?? 'unknown')
  }
  return {
    waiting: entries.length,
    visitors: new Set(entries.map(({ visitorHash }) => visitorHash)).size,
    bySource,
    byReason,
  }
}

/** Calls of one merge of each visitor's entries; what fits no call makes none. */
export function mergedCalls(entries: readonly Entry[], method: Wire['method']): number {
  const wire: Wire = { method, origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' }
  const visitors = new Map<string, Entry[]>()
  for (const entry of entries) visitors.set(entry.visitorHash, [...(visitors.get(entry.visitorHash) ?? []), entry])
  let calls = 0
  for (const [first, ...others] of visitors.values()) {
    if (first === undefined) continue
    const merged = mergeNewest([first, ...others])
    const whole = encodeCalls(first.visitor, merged, wire)
    const tooLarge = whole.ok ? [] : whole.tooLarge
    const fitting = merged.filter(({ name }) => !tooLarge.includes(name))
    const encoded = whole.ok ? whole : encodeCalls(first.visitor, fitting, wire)
    if (encoded.ok && fitting.length > 0) calls += encoded.calls.length
  }
  return calls
}

function add(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
