/** `.dev.vars`: a developer's own settings, as wrangler reads them too. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'

/** @returns settings by name, without those that are left empty; none where there is no file */
export function readDevVars(folder: string): Readonly<Record<string, string>> {
  const path = join(folder, '.dev.vars')
  if (!existsSync(path)) return {}
  const all = Object.entries(parseEnv(readFileSync(path, 'utf8')))
  return Object.fromEntries(all.flatMap(([name, value]) => (value ? [[name, value]] : [])))
}
