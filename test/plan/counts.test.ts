/** What a plan multiplies by prices are the figures of docs/costs.md, which the tests of the bill count. */
import { readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { counted, type Operations } from '../../src/plan/counts.ts'

const page = readFileSync(fileURLToPath(new URL('../../docs/costs.md', import.meta.url)), 'utf8')
const rowOf = {
  live: 'another one of a visitor is sent live',
  superseded: 'an update is superseded by a newer one',
  deferred: 'an update is deferred',
  replayOfOne: 'a run that replays one entry',
  replayOfFiveMerged: 'a run that replays five entries of one visitor, merged',
  replayOf16Visitors: 'a run that replays 16 entries of 16 visitors',
  idleRun: 'a run with nothing to do',
} as const
const columnOf: Readonly<Record<keyof Operations, string>> = {
  commands: 'commands',
  objectRequests: 'object requests',
  rowsWritten: 'rows written',
  kvWrites: 'KV writes',
  kvDeletes: 'KV deletes',
  kvLists: 'KV lists',
}

describe.each(Object.entries(counted))('%s', (heading, all) => {
  const table = page.split(`### ${heading}\n`)[1]?.split('\n### ')[0] ?? ''
  const [head = [], , ...rows] = [...table.matchAll(/^\|(.+)\|$/gm)].map(([, row = '']) =>
    row.split('|').map((cell) => cell.trim()),
  )

  it.each(Object.entries(all))('%s', (name, operations) => {
    const row = rows.find(([what]) => what === rowOf[name as keyof typeof rowOf])
    expect(row).toBeDefined()
    const said = Object.fromEntries(
      Object.entries(columnOf).map(([key, column]) => [
        key,
        head.includes(column) ? Number(row?.[head.indexOf(column)]) : 0,
      ]),
    )
    expect(operations).toEqual(said)
  })
})
