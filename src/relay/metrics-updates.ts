/** The counters of `/metrics`, from the ledger's figures (`core/ledger/rules/figures.ts`). */
import { type Lines, noLane, otherSource } from '../core/ledger/rules/figures.ts'
import type { Metric, Sample } from '../edge/http/metrics-text.ts'

const metricsOf = {
  received: 'Updates and webhooks that were taken in.',
  updates: 'Updates by what became of them: answered to their senders, or at the end of a replay.',
  calls: 'Calls to Target.',
  calls_saved: 'Calls that merging made needless.',
  unauthenticated: 'Requests that failed to authenticate, by reason.',
  handshakes: 'Handshakes of senders: answered, or kept for a person to confirm.',
} as const
type Name = keyof typeof metricsOf
/** They are no updates. */
const handshakes: Readonly<Record<string, string>> = { greeted: 'answered', confirmation: 'to_confirm' }

/**
 * @param totals all that was ever counted, by line (`<source>/<lane>`) and name
 * @param sources those that have series of their own
 */
export function updateMetrics(totals: Lines, sources: ReadonlySet<string>): readonly Metric[] {
  const sums = new Map<Name, Map<string, Sample>>()
  for (const [line, counters] of Object.entries(totals)) {
    const [name = '', lane = noLane] = line.split('/')
    // Of a source that is configured no longer, what was counted must not be lost from a sum.
    const source = sources.has(name) ? name : otherSource
    for (const [what, value] of Object.entries(counters)) {
      // Older versions counted by other names.
      if (!/^[a-z_]+$/.test(what)) continue
      const { metric, labels } = labelled(what, source, lane)
      const samples = sums.get(metric) ?? new Map<string, Sample>()
      const key = JSON.stringify(labels)
      samples.set(key, { labels, value: (samples.get(key)?.value ?? 0) + value })
      sums.set(metric, samples)
    }
  }
  return Object.entries(metricsOf).map(([name, help]) => ({
    name: `target_relay_${name}`,
    type: 'counter',
    help,
    samples: [...(sums.get(name as Name)?.values() ?? [])],
  }))
}

function labelled(what: string, source: string, lane: string): { metric: Name; labels: Record<string, string> } {
  const [, why] = /^unauthenticated_(\w+)$/.exec(what) ?? []
  if (why !== undefined) return { metric: 'unauthenticated', labels: { source, why } }
  const handshake = handshakes[what]
  if (handshake !== undefined) return { metric: 'handshakes', labels: { source, outcome: handshake } }
  if (what === 'received' || what === 'calls' || what === 'calls_saved')
    return { metric: what, labels: { source, lane } }
  return { metric: 'updates', labels: { source, lane, outcome: what } }
}
