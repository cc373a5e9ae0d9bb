/** What `target-relay dev` keeps in the folder between runs: the relay's stores, and what the stand-in of Target holds. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HeldProfile, Profiles } from '../../emulator/profiles.ts'
import { ownerOnly } from '../files.ts'

const folderName = '.target-relay'

export interface DevState {
  readonly folder: string
  save(): void
}

/** @param keep the state of the last run; otherwise it is removed, and `profiles` stays empty */
export function openState(project: string, keep: boolean, profiles: Profiles): DevState {
  const folder = join(project, folderName)
  const file = join(folder, 'profiles.json')
  if (!keep) rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, '.gitignore'), '*\n')
  if (existsSync(file)) profiles.load(JSON.parse(readFileSync(file, 'utf8')) as HeldProfile[])
  return {
    folder,
    save: () => writeFileSync(file, JSON.stringify(profiles.held()), { mode: ownerOnly }),
  }
}
