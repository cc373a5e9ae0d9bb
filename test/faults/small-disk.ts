/**
 * A disk that can be full. If it is allowed (root, with the right to mount), a tmpfs of a few megabytes, filled with
 * ballast: real ENOSPC. Otherwise `prlimit`: no file of the server may grow beyond the size of its write-ahead log, which
 * SQLite sees as a failed write (EFBIG). If neither exists (not Linux), no disk is full, and the summary says so.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export interface SmallDisk {
  readonly how: 'tmpfs' | 'prlimit' | 'none'
  readonly folder: string
  /** Fills the disk until the returned function is called. @param pids of the processes that write to `files` */
  fill(pids: readonly number[], files: readonly string[]): () => void
  /** Removes it completely. */
  remove(): void
}

/** Room for the files of two servers, their write-ahead logs (at most 16 MB each, usually 4) and a copy of one. */
const bytes = 64 * 1_024 * 1_024

/** @param parent the folder in which it is made */
export function smallDisk(parent: string): SmallDisk {
  const folder = mkdtempSync(join(parent, 'disk-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  if (works('mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'target-relay-faults', folder)) {
    const unmount = () => {
      // It is removed even if a process that just died still has it open.
      works('umount', '--lazy', folder)
      remove()
    }
    return { how: 'tmpfs', folder, fill: () => fillUp(join(folder, 'ballast')), remove: unmount }
  }
  if (works('prlimit', '--version')) return { how: 'prlimit', folder, fill: limitFiles, remove }
  return { how: 'none', folder, fill: () => () => {}, remove }
}

function fillUp(ballast: string): () => void {
  const file = openSync(ballast, 'w')
  // Smaller and smaller pieces, down to the last page.
  for (let piece = 1_024 * 1_024; piece >= 4_096; piece /= 4) {
    const zeros = Buffer.alloc(piece)
    try {
      while (writeSync(file, zeros) === piece);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    }
  }
  closeSync(file)
  return () => rmSync(ballast)
}

function limitFiles(pids: readonly number[], files: readonly string[]): () => void {
  const largest = Math.max(4_096, ...files.map((file) => statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0))
  for (const pid of pids) works('prlimit', '--pid', String(pid), `--fsize=${largest}:unlimited`)
  return () => {
    for (const pid of pids) works('prlimit', '--pid', String(pid), '--fsize=unlimited:unlimited')
  }
}

function works(command: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
