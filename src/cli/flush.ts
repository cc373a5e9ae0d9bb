/** `target-relay flush`: one run of the batch runner. */
import process from 'node:process'
import { parseArgs } from 'node:util'
import type * as z from 'zod'
import { report as reportShape } from '../edge/contract/admin.ts'
import { flushOnce, wentWell } from '../server/flush-once.ts'
import { lineWithTime, type ServerLog } from '../server/index.ts'
import { relayOptions } from './asking.ts'
import { type Command, exit } from './command.ts'
import { toldAs } from './errors.ts'
import { loadSources } from './load-sources.ts'
import { adminClient, relayUrl } from './relay-client.ts'
import { endedEarly, platformAllows, sharedBy } from './run-words.ts'

type Report = z.output<typeof reportShape>

export const flush: Command = {
  summary: 'replay what waits in the backlog, once',
  usage: `target-relay flush [--sources <file>] [--json]
target-relay flush --relay [<url>] [--json]

One run over the backlog in RELAY_DB, with the settings of target-relay serve; it may run beside servers and other runs.
With --relay a running relay (the address, or RELAY_URL) is asked for one (ADMIN_TOKEN), also on Workers. The report is printed as JSON; on a terminal as a line. Logs go to standard error. SIGTERM ends it where nothing is
under way. Exit 0 when the run did what it could (also when the quota is used up or another run is under way), 1 when
ledger, backlog or Target kept it from its work, 2 on bad settings or another account's ledger.`,

  async run({ args, env, out, err, isTerminal, progress }) {
    const { values } = parseArgs({
      args: args.flatMap((arg, at) => (isBare(arg, args[at + 1]) ? [arg, relayUrl(env, undefined)] : [arg])),
      options: { ...relayOptions, sources: { type: 'string' } },
    })
    const print = (report: Report, whole: unknown) => {
      out(isTerminal && !values.json ? inWords(report) : JSON.stringify(whole))
      return wentWell(report) ? exit.ok : exit.failed
    }
    if (values.relay !== undefined) {
      const { said, whole } = await adminClient({ env }, values.relay).tell('/admin/api/flush', undefined, reportShape)
      return print(said, whole)
    }
    const sources = await loadSources(values.sources ?? env['RELAY_SOURCES'])
    let stopped = false
    const stop = () => {
      stopped = true
    }
    process.once('SIGTERM', stop).once('SIGINT', stop)
    const log: ServerLog = (event, details) => {
      if (event !== 'flush') err(lineWithTime(event, details))
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
      return print(report, report)
    } catch (error) {
      throw toldAs(error)
    } finally {
      process.removeListener('SIGTERM', stop).removeListener('SIGINT', stop)
    }
  },
}

/** Without an address it is the one of RELAY_URL. */
function isBare(arg: string, next: string | undefined): boolean {
  return arg === '--relay' && (next === undefined || next.startsWith('-'))
}

function inWords(report: Report): string {
  const { read, replayed, superseded, calls, callsSaved, deferredAgain, dead, skipped, durationMs, retryAtMs } = report
  const room = retryAtMs === undefined ? '' : `, room again at ${new Date(retryAtMs).toISOString()}`
  const refused = skipped === 0 ? '' : `, ${skipped} that the ledger refused`
  return [
    `${read} read, ${replayed} delivered and ${superseded} superseded with ${calls} calls (${callsSaved} saved by merging), ${deferredAgain} wait on, ${dead} dead letters${refused}, ${(durationMs / 1_000).toFixed(1)} s`,
    sharedBy(report),
    `${endedEarly(report) || 'everything that was due is through'}${room}`,
    platformAllows(report),
  ]
    .filter((text) => text !== '')
    .join('; ')
}
