/** Dead letters for operators, and what is done about them behind each flush. */
import { createDeadOffice, type DeadOffice, type DeadOfficeParts } from '../core/operator/dead/office.ts'
import { createRetention, type RetentionParts } from '../core/operator/dead/retention.ts'
import type { Duty } from '../cron/duties.ts'
import type { Settings } from './settings.ts'

const dayMs = 86_400_000
const hourMs = 3_600_000

export function deadOf(
  {
    retentionHours,
    deadRetentionDays,
    flushMaxOps,
  }: Pick<Settings, 'retentionHours' | 'deadRetentionDays' | 'flushMaxOps'>,
  parts: Omit<DeadOfficeParts, 'retentionMs' | 'maxOperations'> & Pick<RetentionParts, 'ledger' | 'log' | 'memory'>,
): { readonly dead: DeadOffice; readonly duties: readonly Duty[] } {
  const dead = createDeadOffice({ ...parts, retentionMs: retentionHours * hourMs, maxOperations: flushMaxOps })
  const retention = createRetention({ ...parts, retentionMs: deadRetentionDays * dayMs })
  return {
    dead,
    duties: [
      { name: 'dead plans', work: (share) => dead.work(share) },
      { name: 'dead retention', work: retention },
    ],
  }
}
