/** Starts, awaits and kills the processes that the load runs against. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath, URL } from 'node:url'

/** Runs a module as a process in its own group, so that its children are killed with it; waits until it is ready. */
export async function startChild(module: URL, ...args: string[]): Promise<ChildProcess> {
  const file = fileURLToPath(module)
  const child = fork(file, args, { detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await new Promise<void>((resolve, reject) =>
    child.once('message', () => resolve()).once('exit', () => reject(new Error(`${file} ended`))),
  )
  return child
}

/** Kills it, as a crash would. */
export async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  process.kill(-(child.pid ?? 0), 'SIGKILL')
  await ended
}

export const targetProcess = new URL('target-process.ts', import.meta.url)

/** From now on Target's stand-in answers each call well and at once. */
export async function calmTarget(target: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) =>
    target.send('calm', (error) => (error === null ? resolve() : reject(error))),
  )
}
