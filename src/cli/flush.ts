/** `target-relay flush`: one run of the batch runner. */
import process from 'node:process'
import { parseArgs } from 'node:util'
import type { FlushReport } from '../cron/report.ts'
import { flushOnce, wentWell } from '../server/flush-once.ts'
import type { ServerLog } from '../server/index.ts'
import { type Command, exit } from './command.ts'
import { toldAs } from './errors.ts'
import { loadSources } from './load-sources.ts'

export const flush: Command = {
  summary: 'replay what waits in the backlog, once',
  usage: `target-relay flush [--sources <file>]

One run over the backlog in RELAY_DB, with the settings of target-relay serve; it may run beside servers and other runs.
The report is printed as JSON; on a terminal as a line. Logs go to standard error. SIGTERM ends it where nothing is
under way. Exit 0 when the run did what it could (also when the quota is used up or another run is under way), 1 when
ledger, backlog or Target kept it from its work, 2 on bad settings or another account's ledger.`,

  async run({ args, env, out, err, isTerminal, progress }) {
    const { values } = parseArgs({ args: [...args], options: { sources: { type: 'string' } } })
    const sources = await loadSources(values.sources ?? env['RELAY_SOURCES'])
    let stopped = false
    const stop = () => {
      stopped = true
    }
    process.once('SIGTERM', stop).once('SIGINT', stop)
    const log: ServerLog = (event, details = {}) => {
      if (event !== 'flush') err(JSON.stringify({ time: new Date().toISOString(), event, ...details }))
    }
    try {
      const report = await flushOnce({
        sources,
        env,
        log,
        stopping: () => stopped,
        progress: ({ read, replayed, calls }) => progress?.(`${read} read, ${replayed} delivered, ${calls} calls`),
      })
      progress?.('')
      out(isTerminal ? inWords(report) : JSON.stringify(report))
      return wentWell(report) ? exit.ok : exit.failed
    } catch (error) {
      throw toldAs(error)
    } finally {
      process.removeListener('SIGTERM', stop).removeListener('SIGINT', stop)
    }
  },
}

function inWords({
  stopped,
  read,
  replayed,
  superseded,
  calls,
  callsSaved,
  deferredAgain,
  dead,
  skipped,
  durationMs,
  retryAtMs,
}: FlushReport): string {
  const ended =
    stopped === 'drained' ? 'everything that was due is through' : `ended early: ${stopped.replaceAll('_', ' ')}`
  const room = retryAtMs === undefined ? '' : `, room again at ${new Date(retryAtMs).toISOString()}`
  const refused = skipped === 0 ? '' : `, ${skipped} that the ledger refused`
  return `${read} read, ${replayed} delivered and ${superseded} superseded with ${calls} calls (${callsSaved} saved by merging), ${deferredAgain} wait on, ${dead} dead letters${refused}, ${(durationMs / 1_000).toFixed(1)} s; ${ended}${room}`
}
