/** The coverage table of the last 10,000 seeds, which a run of many seeds must reach again. */
import { readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import type { Reached } from './reach.ts'

export const reachedFile = fileURLToPath(new URL('reached.json', import.meta.url))

export const readReached = (): Reached => JSON.parse(readFileSync(reachedFile, 'utf8')) as Reached
