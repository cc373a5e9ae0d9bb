/**
 * The SQLite file is taken away from running servers: removed, renamed, replaced by an empty one or by an exact copy.
 *
 * The old file stays readable under a second name for the judge: only what was acknowledged before and had not been sent
 * is gone with it. With a copy, made while its servers are suspended, nothing is gone: nothing is excused, and what the old
 * file took in afterwards must not have been acknowledged. Not drawn: losing both the file and its witness (a first start,
 * as documented), and an older copy (a restored backup).
 */
import { copyFileSync, existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export const fileFaults = [
  'removed',
  'removed but for its logs',
  'renamed',
  'replaced by an empty one',
  'replaced by a copy',
] as const
export type FileFault = (typeof fileFaults)[number]

const logs = ['-wal', '-shm'] as const

/**
 * @param pids of the servers that have it open
 * @param aside the name under which it can still be read afterwards
 * @param away called as soon as it is away, before anything else happens in this process
 */
export async function takeAway(
  fault: FileFault,
  file: string,
  pids: readonly number[],
  aside: string,
  away: () => void,
): Promise<void> {
  if (fault === 'replaced by a copy') {
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    for (const pid of pids) await standsStill(pid)
    for (const suffix of ['', '-wal'])
      if (existsSync(file + suffix)) copyFileSync(file + suffix, `${file}.copy${suffix}`)
    moveTo(file, aside)
    for (const suffix of ['-wal', ''])
      if (existsSync(`${file}.copy${suffix}`)) renameSync(`${file}.copy${suffix}`, file + suffix)
    away()
    for (const pid of pids) process.kill(pid, 'SIGCONT')
    return
  }
  if (fault === 'renamed') moveTo(file, aside)
  else {
    for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) linkSync(file + suffix, aside + suffix)
    rmSync(file)
    if (fault !== 'removed but for its logs') for (const suffix of logs) rmSync(file + suffix, { force: true })
  }
  if (fault === 'replaced by an empty one') writeFileSync(file, '')
  away()
}

function moveTo(file: string, aside: string): void {
  for (const suffix of ['', ...logs]) if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix)
}

/** SIGSTOP takes effect once the kernel has finished what it is doing for the process. */
async function standsStill(pid: number): Promise<void> {
  for (let looks = 0; looks < 100; looks++) {
    const stat = `/proc/${pid}/stat`
    if (existsSync(stat) && readFileSync(stat, 'utf8').replace(/^.*\)/, '').trim().startsWith('T')) return
    await sleep(5)
  }
}
