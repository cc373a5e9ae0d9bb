/** `target-relay plan`: what it reads, and what it says. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { describe, expect, it } from 'vitest'
import type { Report } from '../../src/plan/report.ts'
import { cli } from '../support/cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-plan-'))
let serial = 0
const file = (content: string | Buffer, end = 'csv') => {
  const path = join(folder, `file-${++serial}.${end}`)
  writeFileSync(path, content)
  return path
}
const planned = async (args: readonly string[], env: Record<string, string> = {}) => {
  const { status, out, err } = await cli(['plan', '--json', ...args], env)
  expect(err).toBe('')
  return { status, report: JSON.parse(out) as Report }
}
const at = (second: number) => new Date(Date.UTC(2026, 10, 24, 10, 0, second)).toISOString()

describe('a shape', () => {
  it('within the quota: every update is a call, and nothing waits', async () => {
    const { status, report } = await planned(['--shape', '1000/day, visitors 1M', '--days', '2'])
    expect(status).toBe(0)
    expect(report).toMatchObject({
      ...{ fits: true, updates: 2_000, reasons: [] },
      outcome: { calls: 2_000, liveCalls: 2_000, deferred: 0, sentAtOnce: 1 },
      // A unit counts for the slack longer than a window.
      quota: { mostUsed: 1_001, mostDemanded: 1_000, limit: 999_000 },
    })
  })

  it('beyond it: in no window more calls than the limit, and the verdict says how late the latest is', async () => {
    const { status, report } = await planned(['--shape', '4000/day, visitors 1500', '--days', '3'], {
      QUOTA_LIMIT: '1000',
    })
    expect(status).toBe(1)
    expect(report.quota.mostUsed).toBeLessThanOrEqual(1_000)
    expect(report.quota.mostDemanded).toBe(4_000)
    expect(report.reasons.map(({ kind }) => kind)).toContain('late')
    const words = await cli(['plan', '--shape', '4000/day, visitors 1500', '--days', '3'], { QUOTA_LIMIT: '1000' })
    expect(words.out.split('\n')[0]).toMatch(/^It does not fit: the latest profile is .* behind, more than 1 d/)
    expect(words.out).toContain('bulk road (estimated; not built yet)')
  })

  it('what nothing changed is shown as saved by skipUnchanged, and only where it is known', async () => {
    const args = ['--shape', '4000/day, visitors 400, unchanged 50%', '--days', '2']
    const { report } = await planned(args, { QUOTA_LIMIT: '1000' })
    const [asSet, skipping, pacing] = report.compared.ways
    expect([asSet?.name, skipping?.name, pacing?.name]).toEqual(['as set', 'skipUnchanged', 'PACE=even'])
    expect(skipping?.longestMs ?? 0).toBeLessThan(asSet?.longestMs ?? 0)
    const skipped = await planned([...args, '--skip-unchanged'], { QUOTA_LIMIT: '1000' })
    expect(skipped.report.outcome.unchanged).toBeGreaterThan(1_000)
    const unknown = await planned(['--shape', '40/day'])
    expect(unknown.report.compared.ways.map(({ name }) => name)).toEqual(['as set', 'PACE=even'])
    expect(unknown.report.notes.join()).toContain('not known')
  })
})

describe('a CSV', () => {
  const rows = [
    `${at(0)},ann,tier;score,h1`,
    `${at(1)},bob,tier,h2`,
    `${Date.parse(at(2))},ann,tier,h3`,
    `${at(30)},ann,tier,h3`,
  ]
  const csv = `time,visitor,attributes,value\n${rows.join('\n')}\n`

  it.each([
    ['plain', file(csv)],
    ['packed', file(gzipSync(csv), 'csv.gz')],
    ['with a byte order mark', file(`\uFEFF${csv}`)],
  ])('%s: each line is an update', async (_, path) => {
    const { report } = await planned(['--csv', path, '--skip-unchanged'])
    expect(report).toMatchObject({ fits: true, updates: 4, outcome: { calls: 3, unchanged: 1 } })
  })

  it('calls that are in flight hold back the same attribute of a visitor, and no other', async () => {
    const close = (name: string) => `time,visitor,attributes\n${at(0)},ann,tier\n${at(0)},ann,${name}\n`
    expect((await planned(['--csv', file(close('tier'))])).report.outcome).toMatchObject({ deferred: 1, calls: 2 })
    expect((await planned(['--csv', file(close('score'))])).report.outcome).toMatchObject({ deferred: 0, calls: 2 })
  })

  it.each([
    ['no header', `${at(0)},ann\n`, 'names the columns'],
    ['another column', 'time,visitor,email\n', 'column 3 is none of them'],
    ['no time', 'time,visitor\nsoon,ann\n', 'line 2: its time is neither'],
    ['no visitor', `time,visitor\n${at(0)},\n`, 'line 2: has no visitor'],
    ['backwards', `time,visitor\n${at(120)},ann\n${at(0)},bob\n`, 'line 3: is earlier'],
    ['too long', `time,visitor\n${at(0)},ann\n2027-03-01T00:00:00Z,bob\n`, 'more than 45 days'],
    ['nothing', 'time,visitor\n', 'has no update'],
    ['a quote', 'time,visitor\n"x,ann\n', 'is no CSV'],
  ])('%s: refused, without a cell of it', async (_, content, said) => {
    const { status, err } = await cli(['plan', '--csv', file(content)])
    expect([status, err]).toEqual([2, expect.stringContaining(said)])
    expect(err).not.toMatch(/ann|bob|soon/)
  })

  it('a gzip file that is cut off is refused', async () => {
    const { status } = await cli(['plan', '--csv', file(gzipSync(csv).subarray(0, 40), 'csv.gz')])
    expect(status).toBe(2)
  })
})

it('a log: requests that were taken in, of visitors that the shape says', async () => {
  const line = (second: number, more: object) =>
    JSON.stringify({
      time: at(second),
      level: 'info',
      event: 'request',
      method: 'POST',
      route: '/hooks/{source}',
      status: 200,
      ...more,
    })
  const log = file(
    [
      line(0, {}),
      line(1, { status: 401 }),
      line(2, { method: 'GET' }),
      line(3, { route: '/admin/api/flush' }),
      'no JSON "request"',
      line(9, { route: '/v1/updates', status: 202 }),
    ].join('\n'),
    'log',
  )
  const { report } = await planned(['--log', log, '--shape', '1/day, visitors 10'])
  expect(report.updates).toBe(2)
  expect((await cli(['plan', '--log', log])).err).toContain('--log with the --shape of its visitors')
})

it('a picture is one page: well-formed, without a script, and what it says is escaped', async () => {
  const path = join(folder, 'plan.svg')
  await cli(['plan', '--shape', '4000/day, visitors 300', '--days', '3', '--svg', path], { QUOTA_LIMIT: '1000' })
  const svg = readFileSync(path, 'utf8')
  expect(XMLValidator.validate(svg)).toBe(true)
  const { svg: read } = new XMLParser().parse(svg) as { svg: { title: string } }
  expect(read.title).toMatch(/^It /)
  expect(svg).not.toMatch(/<script|href|NaN|Infinity|undefined/)
})

it('prices of a file take the place of list prices', async () => {
  const { report } = await planned([
    '--shape',
    '40/day',
    '--days',
    '1',
    '--prices',
    file('{"server":20,"workersPaid":{"base":7}}', 'json'),
  ])
  const monthly = Object.fromEntries(report.bills.map(({ platform, monthly }) => [platform, monthly]))
  expect(monthly['a server with SQLite']).toBe(20)
  expect(monthly['Workers Paid, ledger Durable Object, backlog KV']).toBe(7)
  expect(monthly['Workers Free, ledger and backlog Durable Object']).toBe(0)
})
