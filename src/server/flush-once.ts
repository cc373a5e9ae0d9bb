/**
 * The cron batch runner as a command: one run over the backlog of a SQLite file, for a system cron, a Kubernetes
 * CronJob or a schedule of Deno or Bun. It may run beside live servers and other runs.
 */

import { given } from '../core/given.ts'
import type { FlushReport, StopReason } from '../cron/report.ts'
import type { Source } from '../edge/source/types.ts'
import type { Relay } from '../relay/compose.ts'
import { createRelay, parseAll } from '../relay/create.ts'
import { SettingsError } from '../relay/errors.ts'
import { openStorage, type ServerLog, serverDefaults } from './index.ts'

export interface FlushOnceOptions {
  /** For the shares that they have of the quota. */
  readonly sources: readonly Source[]
  /** Settings by name. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: ServerLog
  /** True once the run is to end between two calls. */
  readonly stopping?: () => boolean
  /** Told now and then how far it is. */
  readonly progress?: (soFar: Readonly<FlushReport>) => void
}

/** @throws SettingsError, also where the ledger is another account's */
export async function flushOnce({ sources, env, log, stopping, progress }: FlushOnceOptions): Promise<FlushReport> {
  const parsed = parseAll({ ...serverDefaults, ...env }, sources)
  if (!parsed.ok) throw new SettingsError(parsed.problems)
  const storage = openStorage(parsed.settings, log)
  try {
    const relay: Relay = await createRelay({
      sources,
      settings: parsed.settings,
      storage,
      log,
      startRun: (segment) => relay.flushPart(segment),
      ...given({ stopping }),
    })
    const report = await relay.flush(progress)
    if (report.calls > 0) await relay.testify()
    if (report.stopped !== 'foreign_store') return report
    // The readiness names what differs.
    const { details } = await relay.ready()
    throw new SettingsError([String(details?.['ledgerError'])])
  } finally {
    storage.close()
  }
}

/** Whether a run did what it could: neither ledger, backlog nor Target prevented it. */
export function wentWell({ stopped }: { readonly stopped: string }): boolean {
  const kept: readonly string[] = [
    'target_unavailable',
    'ledger_unavailable',
    'backlog_unavailable',
    'foreign_store',
  ] satisfies StopReason[]
  return !kept.includes(stopped)
}
