/** Processes that the load runs against: started, awaited, killed. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath, URL } from 'node:url'

/** A module as a process in a group of its own, so that a kill takes along what it started; waits until it says that it is ready. */
export async function startChild(module: URL, ...args: string[]): Promise<ChildProcess> {
  const file = fileURLToPath(module)
  const child = fork(file, args, { detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await new Promise<void>((resolve, reject) =>
    child.once('message', () => resolve()).once('exit', () => reject(new Error(`${file} ended`))),
  )
  return child
}

/** As a crash would. */
export async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  process.kill(-(child.pid ?? 0), 'SIGKILL')
  await ended
}

export const targetProcess = new URL('target-process.ts', import.meta.url)
