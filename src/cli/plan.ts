/** `target-relay plan`: whether traffic fits the quota, how late the latest is, what would help and what it costs. */
import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { nodeSqlite } from '../core/store/sqlite-node.ts'
import { span } from '../core/words.ts'
import { createEngine, type Engine, type Way } from '../plan/engine.ts'
import { pictureOf } from '../plan/picture.ts'
import { listPrices, type Prices, withPrices } from '../plan/prices.ts'
import { type Report, reportOf } from '../plan/report.ts'
import { readShape, type Shape, shapeGrammar } from '../plan/shape.ts'
import { sendShape, updatesOf } from '../plan/traffic.ts'
import { reportLines } from '../plan/words.ts'
import { wantArguments } from './asking.ts'
import { type Command, exit, type Io } from './command.ts'
import { Failed, Misuse } from './errors.ts'
import { logTimes, lookAtCsv, sendCsv } from './plan/files.ts'
import { type Store, stores, wayOf } from './plan/settings.ts'

const [hourMs, dayMs] = [3_600_000, 86_400_000]
/** The first day of what is made up; a Thursday. */
const madeUpFromMs = Date.UTC(2026, 0, 1)
const longestDays = 40
/** How long other ways to run the relay are run beside the one that is asked about. */
const comparedDays = 3
const defaults = { days: '30', within: '24', target: '150', kv: '60', seed: '1', store: 'kv' } as const

const usage = `target-relay plan --shape "<traffic>" [--days ${defaults.days}] [--seed ${defaults.seed}]
target-relay plan --csv <file>
target-relay plan --log <file> --shape "<visitors, attributes>"
  [--within ${defaults.within}] [--store kv|object|sqlite] [--skip-unchanged] [--target ${defaults.target}] [--kv ${defaults.kv}] [--prices <file>]
  [--json] [--svg <file>]

Says before anything is bought whether traffic fits the quota, how late the latest profile is, what merging, skipping,
pacing and the bulk road save, and what a month costs on which platform. Nothing is sent. The quota and the flush are set by
the environment, as for the relay (QUOTA_LIMIT, REPLAY_RESERVE, PACE, RETENTION_HOURS, FLUSH_MAX_MS …).

A shape, parts between commas:
${shapeGrammar
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
A CSV (also .gz) has a header: time,visitor and, where known, attributes (names with ; between) and value (a hash of
the values). A log is that of a relay with LOG_REQUESTS=all; whose updates they were the shape says.

--within    how many hours late a profile may be, for the verdict
--store     where deferred updates wait
--target, --kv  milliseconds that a call to Target, and a delete in Workers KV, takes
--prices    JSON with prices in place of the list prices

Exit 0 if it fits, 1 if it does not, 2 on a bad shape, file, option or setting.`

export const plan: Command = {
  summary: 'say whether traffic fits the quota, how late it gets and what it costs',
  usage,

  async run(io) {
    const { values, positionals } = parseArgs({
      args: [...io.args],
      options: {
        ...{ shape: { type: 'string' }, csv: { type: 'string' }, log: { type: 'string' }, prices: { type: 'string' } },
        ...{ svg: { type: 'string' }, json: { type: 'boolean', default: false } },
        ...{
          'skip-unchanged': { type: 'boolean', default: false },
          store: { type: 'string', default: defaults.store },
        },
        ...{ days: { type: 'string', default: defaults.days }, within: { type: 'string', default: defaults.within } },
        ...{ target: { type: 'string', default: defaults.target }, kv: { type: 'string', default: defaults.kv } },
        seed: { type: 'string', default: defaults.seed },
      },
      allowPositionals: true,
    })
    wantArguments(positionals, 0)
    const pace = { callMs: whole('--target', values.target, 60_000), kvMs: whole('--kv', values.kv, 60_000) }
    const asked: Asked = {
      way: { ...wayOf(io.env, storeOf(values.store), pace), skipUnchanged: values['skip-unchanged'] },
      shape: values.shape === undefined ? undefined : shapeOf(values.shape),
      csv: values.csv,
      log: values.log,
      days: whole('--days', values.days, longestDays),
      seed: whole('--seed', values.seed, 2 ** 31),
      withinMs: whole('--within', values.within, 24 * 60) * hourMs,
      prices: pricesIn(values.prices),
      progress: progressOf(io),
    }
    const beganMs = performance.now()
    const report = await planned(asked)
    io.progress?.('')
    if (values.svg !== undefined) write(values.svg, pictureOf(report))
    if (values.json) io.out(JSON.stringify(report))
    else for (const line of reportLines(report)) io.out(line)
    if (!values.json) io.out(`Planned in ${span(performance.now() - beganMs)}.`)
    return report.fits ? exit.ok : exit.failed
  },
}

interface Asked {
  readonly way: Omit<Way, 'name'>
  readonly shape: Shape | undefined
  readonly csv: string | undefined
  readonly log: string | undefined
  readonly days: number
  readonly seed: number
  readonly withinMs: number
  readonly prices: Prices
  readonly progress: ((atMs: number) => void) | undefined
}

async function planned(asked: Asked): Promise<Report> {
  const { shape, csv, log } = asked
  if (csv !== undefined && log === undefined && shape === undefined) return ofCsv(asked, csv)
  if (log !== undefined && csv === undefined && shape !== undefined) return ofLog(asked, log, shape)
  if (csv === undefined && log === undefined && shape !== undefined) return ofShape(asked, shape)
  throw new Misuse('what traffic? Give --shape, or --csv, or --log with the --shape of its visitors')
}

function ofShape(asked: Asked, shape: Shape): Report {
  const engine = engineOf(asked, madeUpFromMs, shape.unchanged !== undefined)
  sendShape(shape, { startMs: madeUpFromMs, days: asked.days, seed: asked.seed }, engine.take)
  return ended(asked, engine, asked.days, [
    ...valueNotes(asked, shape.unchanged !== undefined),
    'the traffic is made up: visitors are drawn at random, updates of a span arrive evenly',
  ])
}

async function ofCsv(asked: Asked, csv: string): Promise<Report> {
  const { firstMs, hasValues } = await lookAtCsv(csv)
  if (firstMs === undefined) throw new Misuse(`${csv}: has no update`)
  const engine = engineOf(asked, startOf(firstMs), hasValues)
  await sendCsv(csv, engine.take)
  return ended(asked, engine, undefined, valueNotes(asked, hasValues))
}

async function ofLog(asked: Asked, log: string, shape: Shape): Promise<Report> {
  let engine: Engine | undefined
  let send: ((atMs: number) => void) | undefined
  for await (const atMs of logTimes(log)) {
    engine ??= engineOf(asked, startOf(atMs), shape.unchanged !== undefined)
    send ??= updatesOf(shape, asked.seed, engine.take)
    send(atMs)
  }
  if (engine === undefined)
    throw new Misuse(
      `${log}: has no line of a request that was taken in: it needs those of LOG_REQUESTS=all, with their time`,
    )
  return ended(asked, engine, undefined, [
    ...valueNotes(asked, shape.unchanged !== undefined),
    'a log says when requests came, not whose they were: visitors are drawn from the shape, and each request counts as one update',
  ])
}

function engineOf({ way, progress }: Asked, startMs: number, hasValues: boolean): Engine {
  const ways: Way[] = [{ ...way, name: 'as set' }]
  if (hasValues && !way.skipUnchanged) ways.push({ ...way, skipUnchanged: true, name: 'skipUnchanged' })
  if (way.quota.pace === 'none') ways.push({ ...way, quota: { ...way.quota, pace: 'even' }, name: 'PACE=even' })
  return createEngine(ways, {
    startMs,
    compareMs: comparedDays * dayMs,
    openSql: () => nodeSqlite(new DatabaseSync(':memory:')),
    onStep: progress,
  })
}

function ended(asked: Asked, engine: Engine, days: number | undefined, notes: readonly string[]): Report {
  const { ran, compared, comparedMs, spanMs } = engine.end(asked.way.retentionMs)
  return reportOf({
    ran,
    compared: { days: comparedMs / dayMs, ways: compared },
    days: days ?? spanMs / dayMs,
    withinMs: asked.withinMs,
    prices: asked.prices,
    bytesARow: bulkBytesARow(asked.shape?.attributes ?? 1),
    notes: [
      ...notes,
      'Target takes each call and the ledger always answers; updates arrive in the order of their times',
    ],
  })
}

function valueNotes({ way }: Asked, hasValues: boolean): readonly string[] {
  if (hasValues) return []
  return [
    way.skipUnchanged
      ? 'how many updates change nothing is not known, so nothing is skipped'
      : 'what skipUnchanged would save is not known: say it (unchanged 40%, or a column of values)',
  ]
}

/** An id of 36 characters, and 20 for each value. */
function bulkBytesARow(attributes: number): number {
  return 36 + 20 * attributes
}

function startOf(firstMs: number): number {
  return Math.floor(firstMs / hourMs) * hourMs
}

function shapeOf(text: string): Shape {
  const read = readShape(text)
  if (!read.ok) throw new Misuse(`--shape ${read.problem}`)
  return read.shape
}

function storeOf(text: string): Store {
  const store = stores.find((one) => one === text)
  if (store === undefined) throw new Misuse(`--store must be one of ${stores.join(', ')}`)
  return store
}

function pricesIn(file: string | undefined): Prices {
  if (file === undefined) return listPrices
  let given: unknown
  try {
    given = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Misuse(`${file} ${error instanceof SyntaxError ? 'is no JSON' : 'cannot be read'}`)
  }
  const read = withPrices(given)
  if (!read.ok) throw new Misuse(`${file}: ${read.problem}`)
  return read.prices
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch {
    throw new Failed(`${file} cannot be written`)
  }
}

function whole(name: string, text: string, most: number): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) < 1 || Number(text) > most)
    throw new Misuse(`${name} is a whole number from 1 to ${most}`)
  return Number(text)
}

/** At each full day, on a terminal. */
function progressOf({ progress }: Io): ((atMs: number) => void) | undefined {
  if (progress === undefined) return undefined
  return (atMs) => {
    if (atMs % dayMs === 0) progress(`${new Date(atMs).toISOString().slice(0, 10)}`)
  }
}
