/** What a plan multiplies by prices are the figures of docs/costs.md, whose own are counted by the tests it names. */
import { readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import { expect, it } from 'vitest'
import { aChunk, anEntry, anIdleRun, anUpdate, bytesALogLine, runsADay } from '../../src/plan/counts.ts'

const page = readFileSync(fileURLToPath(new URL('../../docs/costs.md', import.meta.url)), 'utf8')
const row = (start: string) => page.split('\n').find((line) => line.startsWith(`| ${start}`)) ?? ''
const words = ['zero', 'one', 'two', 'three', 'four', 'five', 'six']

it('of an update', () => {
  const { upstash, object } = anUpdate
  expect(row('Worker requests')).toContain(`| ${anUpdate.workerRequests} | ${anUpdate.workerRequests}, and its share`)
  expect(row('Upstash')).toContain(`| ${upstash.requests}, ${upstash.commands} (`)
  expect(row('Upstash')).toContain(
    `| ${upstash.requests}, ${upstash.commands}, and its share of a flush: ${aChunk.upstash.requests}, ${aChunk.upstash.commands} for up to ${aChunk.visitors} visitors`,
  )
  expect(row('or Durable Object')).toContain(
    `| ${object.requests}, about ${object.liveRows} | ${object.requests}, about ${object.deferredRows}, and its share`,
  )
})

it('of what waits', () => {
  expect(row('KV operations')).toContain(`${anEntry.kv.puts} put, ${anEntry.kv.deletes} delete`)
  expect(page).toContain('costs one row written to put it and one to remove it, and a request for each')
  expect(anEntry.object).toEqual({ requests: 2, rows: 2 })
})

it('of an idle run, and of a line of the log', () => {
  expect(page).toContain(`An idle relay flushes ${runsADay.toLocaleString('en-US')} times a day`)
  expect(page).toContain(
    `one KV list, and ${words[anIdleRun.upstash.commands]} commands at Upstash (${words[anIdleRun.upstash.requests]} requests) and one request to\n  the Durable Object, and one more request and row there`,
  )
  expect(anIdleRun).toMatchObject({ kv: { lists: 1 }, object: { requests: 2, rows: 1 } })
  expect(page).toContain(`${bytesALogLine} bytes a line`)
})
