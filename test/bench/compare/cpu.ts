/** The CPU time and the memory of processes, from Linux's /proc. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

interface Stat {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
  readonly residentPages: number
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
const bytesPerPage = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }))

/** Milliseconds of user and system time that the process and all its descendants have used. */
export function cpuMsOf(pid: number): number {
  const ticks = treeOf(pid).reduce((sum, stat) => sum + stat.ticks, 0)
  return (ticks * 1_000) / ticksPerSecond
}

/** Bytes of memory that the process and all its descendants have in use, those that they share counted for each. */
export function residentBytesOf(pid: number): number {
  return treeOf(pid).reduce((sum, stat) => sum + stat.residentPages * bytesPerPage, 0)
}

function treeOf(pid: number): readonly Stat[] {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? [])
  const tree = new Set([pid])
  // A child may have a lower number than its parent, so this repeats until nothing more is found.
  for (let before = 0; before !== tree.size; ) {
    before = tree.size
    for (const stat of stats) if (tree.has(stat.parent)) tree.add(stat.pid)
  }
  return stats.filter((stat) => tree.has(stat.pid))
}

/** Undefined for a process that has just ended. */
function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold anything; of what follows, the parent is the second field, the times are 12 and
    // 13, the pages in memory 22.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return {
      pid,
      parent: Number(fields[1]),
      ticks: Number(fields[11]) + Number(fields[12]),
      residentPages: Number(fields[21]),
    }
  } catch {
    return undefined
  }
}
