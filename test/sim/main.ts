/**
 * `npm run sim -- --seeds N [--from S]`: runs N seeds on all processors and says what they met. `--seed S --trace` shows
 * one run, `--until-broken` goes seed by seed and ends at the first that breaks a guarantee. Exit 1 where one broke, or
 * where many seeds left a kind of trouble unmet.
 */
import { availableParallelism } from 'node:os'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { addCoverage, kinds, noCoverage } from './coverage.ts'
import { useSynchronousCrypto } from './crypto.ts'
import { type RunResult, runSeed } from './run.ts'

/** With fewer seeds a kind may be unmet by chance. */
const seedsThatMeetAll = 300
const shownViolations = 10

useSynchronousCrypto()
if (isMainThread) await main()
else {
  const { from, to, step } = workerData as { from: number; to: number; step: number }
  for (let seed = from; seed < to; seed += step) parentPort?.postMessage(await runSeed(seed))
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '200' },
      from: { type: 'string' },
      seed: { type: 'string' },
      trace: { type: 'boolean', default: false },
      'until-broken': { type: 'boolean', default: false },
    },
  })
  if (values.seed !== undefined) {
    const result = await runSeed(Number(values.seed), values.trace)
    for (const line of result.trace) console.log(line)
    console.log(result.violation ?? 'every guarantee held')
    process.exitCode = result.violation === undefined ? 0 : 1
    return
  }
  // New seeds each day, so that yesterday's are not all that was ever tried.
  const from = values.from === undefined ? Math.floor(Date.now() / 86_400_000) * 100_000 : Number(values.from)
  const to = from + Number(values.seeds)
  console.log(`seeds ${from} to ${to - 1}`)
  if (values['until-broken']) {
    for (let seed = from; seed < to; seed++) {
      const { violation } = await runSeed(seed)
      if (violation === undefined) continue
      console.log(`seed ${seed}: ${violation}`)
      process.exitCode = 1
      return
    }
    return
  }
  const coverage = noCoverage()
  const violations: RunResult[] = []
  const threads = availableParallelism()
  await Promise.all(
    Array.from(
      { length: threads },
      (_, thread) =>
        new Promise<void>((resolve, reject) => {
          const worker = new Worker(fileURLToPath(new URL('main.ts', import.meta.url)), {
            workerData: { from: from + thread, to, step: threads },
          })
          worker.on('message', (result: RunResult) => {
            addCoverage(coverage, result.coverage)
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
  console.log(`${to - from} seeds, ${violations.length} broke a guarantee`)
  process.exitCode = violations.length > 0 || (unmet.length > 0 && to - from >= seedsThatMeetAll) ? 1 : 0
}
