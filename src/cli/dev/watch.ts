/** Whether something changed that `target-relay dev` must read again: the sources, or `.dev.vars`. */
import { watch } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'

/** Editors write a file in several steps. */
const settledMs = 300

/**
 * @param onChange is called once after a burst of changes: to a file beside the sources, or to `.dev.vars`
 * @returns stops it
 */
export function watchProject(project: string, sources: string | undefined, onChange: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const changed = () => {
    clearTimeout(timer)
    timer = setTimeout(onChange, settledMs)
  }
  const code = /\.[cm]?[jt]s$/
  const folder = sources === undefined ? project : dirname(resolve(project, sources))
  const watchers = [
    watch(project, (_, file) => file === '.dev.vars' && changed()),
    watch(folder, (_, file) => file !== null && code.test(basename(file)) && changed()),
  ]
  return () => {
    clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  }
}
