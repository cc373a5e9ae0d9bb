/**
 * `npm run sim -- --seeds N [--from S]`: runs N seeds on all processors and says what they met. `--seed S --trace` shows
 * one run, `--until-broken` goes seed by seed and ends at the first that breaks a guarantee. `--draws a,b` runs with exactly
 * these draws, `--with` and `--without` add and leave out (draws.ts). Exits with 1 if a guarantee broke, if many seeds
 * did not meet a kind of trouble, or if they no longer reach a cell of the coverage table that they reached before
 * (reached.json; `--seeds 10000 --write-reached` writes it again).
 */
import { existsSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { addCoverage, kinds, noCoverage } from './coverage.ts'
import { useSynchronousCrypto } from './crypto.ts'
import { type Draw, draws } from './draws.ts'
import { missing, type Reached, tablesAsText } from './reach.ts'
import { reachedFile, readReached } from './reached.ts'
import { type RunOptions, type RunResult, runSeed } from './run.ts'

/** With fewer seeds, a kind may be missing by chance. */
const seedsThatMeetAll = 300
/** With fewer, hardly any cell is sure to be reached. */
const seedsThatReach = 1_000
const shownViolations = 10

useSynchronousCrypto()
if (isMainThread) await main()
else {
  const { from, to, step, options } = workerData as { from: number; to: number; step: number; options: RunOptions }
  for (let seed = from; seed < to; seed += step) parentPort?.postMessage(await runSeed(seed, options))
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '200' },
      from: { type: 'string' },
      seed: { type: 'string' },
      trace: { type: 'boolean', default: false },
      'until-broken': { type: 'boolean', default: false },
      draws: { type: 'string' },
      with: { type: 'string' },
      without: { type: 'string' },
      'write-reached': { type: 'boolean', default: false },
    },
  })
  const options: RunOptions = {
    ...(values.draws === undefined ? {} : { only: listed(values.draws) }),
    ...(values.with === undefined ? {} : { with: listed(values.with) }),
    ...(values.without === undefined ? {} : { without: listed(values.without) }),
  }
  if (values.seed !== undefined) {
    const result = await runSeed(Number(values.seed), { ...options, traced: values.trace })
    for (const line of result.trace) console.log(line)
    console.log(result.violation ?? 'every guarantee held')
    process.exitCode = result.violation === undefined ? 0 : 1
    return
  }
  // New seeds each day, so that more than yesterday's are tried.
  const from = values.from === undefined ? Math.floor(Date.now() / 86_400_000) * 100_000 : Number(values.from)
  const to = from + Number(values.seeds)
  console.log(`seeds ${from} to ${to - 1}`)
  if (values['until-broken']) {
    for (let seed = from; seed < to; seed++) {
      const { violation } = await runSeed(seed, options)
      if (violation === undefined) continue
      console.log(`seed ${seed}: ${violation}`)
      process.exitCode = 1
      return
    }
    return
  }
  const coverage = noCoverage()
  const nights: Record<string, number> = {}
  const violations: RunResult[] = []
  const threads = availableParallelism()
  await Promise.all(
    Array.from(
      { length: threads },
      (_, thread) =>
        new Promise<void>((resolve, reject) => {
          const worker = new Worker(fileURLToPath(new URL('main.ts', import.meta.url)), {
            workerData: { from: from + thread, to, step: threads, options },
          })
          worker.on('message', (result: RunResult) => {
            addCoverage(coverage, result.coverage)
            for (const cell of result.reached) nights[cell] = (nights[cell] ?? 0) + 1
            if (result.violation === undefined) return
            violations.push(result)
            if (violations.length <= shownViolations) console.log(`seed ${result.seed}: ${result.violation}`)
          })
          worker.on('error', reject)
          worker.on('exit', () => resolve())
        }),
    ),
  )
  for (const kind of kinds) console.log(`${String(coverage[kind]).padStart(10)}  ${kind}`)
  const unmet = kinds.filter((kind) => coverage[kind] === 0)
  if (unmet.length > 0) console.log(`never met: ${unmet.join(', ')}`)
  const reached: Reached = {
    seeds: to - from,
    nights: Object.fromEntries(Object.entries(nights).sort(([a], [b]) => (a < b ? -1 : 1))),
  }
  console.log(`\nin how many of ${reached.seeds} nights:\n\n${tablesAsText(reached)}\n`)
  const usual = Object.keys(options).length === 0
  const lost =
    usual && reached.seeds >= seedsThatReach && existsSync(reachedFile) ? missing(readReached(), reached) : []
  if (lost.length > 0) console.log(`reached before, but no longer:\n${lost.join('\n')}`)
  if (values['write-reached'] && usual) writeFileSync(reachedFile, `${JSON.stringify(reached, null, 2)}\n`)
  console.log(`${to - from} seeds, ${violations.length} broke a guarantee`)
  const unmetMatters = usual && unmet.length > 0 && to - from >= seedsThatMeetAll
  process.exitCode = violations.length > 0 || unmetMatters || (lost.length > 0 && !values['write-reached']) ? 1 : 0
}

function listed(text: string): readonly Draw[] {
  const names = text.split(',').filter((name) => name !== '')
  const unknown = names.filter((name) => !draws.includes(name as Draw))
  if (unknown.length > 0) throw new Error(`no such draw: ${unknown.join(', ')}; there are: ${draws.join(', ')}`)
  return names as Draw[]
}
