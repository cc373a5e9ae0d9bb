/** Loads the sources from the file that exports them. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Source } from '../edge/source/types.ts'
import { Misuse } from './errors.ts'

/** Tried in the working directory if no file is named. */
const usualPlaces = ['sources.ts', 'sources.js', 'sources.mjs', 'src/sources.ts']

/** The file of the sources: the one that is named, else the usual one; undefined where there is none. */
export function sourcesFile(named: string | undefined): string | undefined {
  return named ?? usualPlaces.find((place) => existsSync(place))
}

/**
 * @param named a file, from `--sources` or `RELAY_SOURCES`; it exports `sources`, or has them as its default export
 * @returns none if no file is named and none is in the usual places
 * @throws Misuse if the file can't be loaded or exports no sources
 */
export async function loadSources(named: string | undefined): Promise<readonly Source[]> {
  const file = sourcesFile(named)
  if (file === undefined) return []
  const path = resolve(file)
  if (!existsSync(path)) throw new Misuse(`there is no file ${file}`)
  let loaded: { sources?: unknown; default?: unknown }
  try {
    loaded = (await import(pathToFileURL(path).href)) as typeof loaded
  } catch (error) {
    throw new Misuse(`${file} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`)
  }
  const sources = loaded.sources ?? loaded.default
  if (!Array.isArray(sources)) throw new Misuse(`${file} exports no sources`)
  return sources as readonly Source[]
}

/** @throws Misuse where there is none of this name */
export function sourceNamed(sources: readonly Source[], name: string): Source {
  const source = sources.find((candidate) => candidate.name === name)
  if (source === undefined)
    throw new Misuse(`there is no source ${name}: there are ${sources.map((one) => one.name).join(', ') || 'none'}`)
  return source
}
