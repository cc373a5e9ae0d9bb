/** The coverage table as 10,000 seeds last filled it: what a run of many seeds must reach again. */
import { readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import type { Reached } from './reach.ts'

export const reachedFile = fileURLToPath(new URL('reached.json', import.meta.url))

export const readReached = (): Reached => JSON.parse(readFileSync(reachedFile, 'utf8')) as Reached
