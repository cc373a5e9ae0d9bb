/**
 * Prometheus and its `promtool` for the tests, from the PATH. The tests are never skipped: without them they fail with
 * one line that says how to get them.
 */
import { execFileSync, spawnSync } from 'node:child_process'

/** What `promtool` prints. Rejects, with that, where it finds something wrong. */
export function promtool(
  args: readonly string[],
  options: { readonly input?: string; readonly cwd?: string } = {},
): string {
  ensureInstalled()
  const { status, stdout, stderr } = spawnSync('promtool', args, { ...options, encoding: 'utf8' })
  // A lint that `check metrics` prints is a failure, too: some versions end with 0.
  if (status !== 0 || (args[1] === 'metrics' && stdout + stderr !== ''))
    throw new Error(`promtool ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

export function ensureInstalled(): void {
  const works = () => spawnSync('promtool', ['--version'], { stdio: 'ignore' }).status === 0
  if (works()) return
  try {
    execFileSync('apt-get', ['install', '-y', 'prometheus'], { stdio: 'ignore' })
  } catch {
    // We may not install on this machine: the error below says what to do.
  }
  if (!works())
    throw new Error(
      'the tests need Prometheus and its promtool: install them (apt-get install prometheus, brew install prometheus)',
    )
}
