/** Real servers on Node, each with its own file or two on one, that are suspended, killed and restarted. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningRelay, startRelay } from '../runtimes/relays.ts'

export interface ServerPlan {
  readonly file: string
  readonly settings: Readonly<Record<string, string>>
  /** The root of another version's source tree. */
  readonly from?: string
}

export interface Servers {
  /** Files, each once. */
  readonly files: readonly string[]
  readonly origins: () => readonly string[]
  /** The running servers, on one file or all. */
  pids(file?: string): readonly number[]
  /** The positions of servers that ended by themselves, which none should; they are counted when they are restarted. */
  dead(): readonly number[]
  readonly endedThemselves: () => number
  /** Events in their logs that report trouble, by name. */
  troubles(): Readonly<Record<string, number>>
  suspend(count: number, forMs: number, which: number): Promise<void>
  /** Kills servers and starts them again after `forMs`. @param some positions; all of them are down at once */
  restart(some: readonly number[], forMs: number): Promise<void>
  /** The positions of the servers on a file. */
  on(file: string): readonly number[]
  end(): Promise<void>
}

/** Lines of the log that report trouble. */
const told =
  /"event":"(ledger_\w+|backlog_\w+|dead_letter_\w+|settle_failed|late_\w+|work_failed|unhandled_\w+|flush_failed|quota_unknown)"/g

export async function startServers(plans: readonly ServerPlan[]): Promise<Servers> {
  const troubles: Record<string, number> = {}
  let endedThemselves = 0
  const start = ({ file, settings, from }: ServerPlan) =>
    startRelay('node', '', { ...settings, RELAY_DB: file }, undefined, from)
  const running: RunningRelay[] = []
  for (const plan of plans) running.push(await start(plan))
  const files = [...new Set(plans.map(({ file }) => file))]

  const end = async (relay: RunningRelay) => {
    if (!isAlive(relay.pid)) endedThemselves++
    await relay.end('SIGKILL')
    for (const [, event = ''] of relay.printed().matchAll(told)) troubles[event] = (troubles[event] ?? 0) + 1
  }
  return {
    files,
    origins: () => running.map(({ url }) => url),
    pids: (file) => running.filter((_, at) => file === undefined || plans[at]?.file === file).map(({ pid }) => pid),
    dead: () => running.flatMap(({ pid }, at) => (isAlive(pid) ? [] : [at])),
    endedThemselves: () => endedThemselves,
    troubles: () => troubles,
    suspend: async (count, forMs, which) => {
      const some = running.map((_, at) => running[(at + which) % running.length]?.pid ?? 0).slice(0, count)
      for (const pid of some) signal(pid, 'SIGSTOP')
      await sleep(forMs)
      for (const pid of some) signal(pid, 'SIGCONT')
    },
    restart: async (some, forMs) => {
      await Promise.all(running.map((relay, at) => (some.includes(at) ? end(relay) : undefined)))
      await sleep(forMs)
      for (const at of some) {
        const plan = plans[at]
        if (plan !== undefined) running[at] = await start(plan)
      }
    },
    on: (file) => plans.flatMap((plan, at) => (plan.file === file ? [at] : [])),
    end: async () => {
      await Promise.all(running.map(end))
    },
  }
}

function isAlive(pid: number): boolean {
  return signal(pid, 0)
}

/** False if the process no longer exists. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
