/**
 * `npm run fuzz -- [--seed S] [--runs N | --seconds N] [--from R]`: odd requests to the app in this process and, over a socket,
 * to a server (a hundredth as many), and odd files through `send` and `map`. Every answer must be documented, nothing
 * authenticated is rejected, no process ends, and memory does not grow. The same seed draws the same requests; a fault is
 * printed with the arguments that reproduce it alone. Exit 1 if there is one.
 */
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type FuzzReport, fuzzApp } from './app.ts'
import { fuzzFiles } from './files.ts'
import { fuzzServer } from './server.ts'
import '../support/own-name.ts'

// Linked once the name is known.
const [{ fuzzSenders }, { fuzzSenderServer }] = await Promise.all([
  import('./senders.ts'),
  import('./sender-server.ts'),
])

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Date.now() / 86_400_000)) },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
  },
})
const [seed, from, seconds] = [Number(values.seed), Number(values.from), Number(values.seconds ?? Number.NaN)]
const runs = Number(values.runs ?? (Number.isNaN(seconds) ? 10_000 : Number.MAX_SAFE_INTEGER))
const mostGrowthBytes = 64_000_000
/** During these runs memory still grows by what is loaded and compiled. */
const warmRuns = 2_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const heap = () => {
  collect()
  return process.memoryUsage().heapUsed
}

const kinds: readonly [name: string, share: number, fuzz: typeof fuzzApp][] = [
  ['requests', 1, fuzzApp],
  ['files', 1, fuzzFiles],
  ['senders', 0.3, fuzzSenders],
  ['server', 0.01, fuzzServer],
  ['sender-server', 0.02, fuzzSenderServer],
]
for (const [name, share, fuzz] of kinds) {
  if (values.only !== undefined && values.only !== name) continue
  const until = (part: number) =>
    Number.isNaN(seconds) ? {} : { untilMs: Date.now() + (1_000 * seconds * part) / kinds.length }
  const count = Math.max(1, Math.ceil(runs * share))
  const warm = Math.min(count, warmRuns)
  const reports = [await fuzz({ seed, from, runs: warm, ...until(0.2) })]
  const beforeBytes = heap()
  if (count > warm) reports.push(await fuzz({ seed, from: from + warm, runs: count - warm, ...until(0.8) }))
  print(name, reports, heap() - beforeBytes)
}

function print(name: string, reports: readonly FuzzReport[], grownBytes: number): void {
  const faults = reports.flatMap((report) => report.faults)
  if (grownBytes > mostGrowthBytes) faults.push(`memory grew by ${grownBytes} bytes`)
  const answers: Record<string, number> = {}
  for (const report of reports)
    for (const [answer, count] of Object.entries(report.answers)) answers[answer] = (answers[answer] ?? 0) + count
  const ran = reports.reduce((sum, report) => sum + report.runs, 0)
  console.log(
    `${name}: seed ${seed}, ${ran} runs, ${faults.length} faults, heap ${(grownBytes / 1e6).toFixed(1)} MB, ${JSON.stringify(answers)}`,
  )
  for (const fault of faults) console.error(`${name}: --only ${name} ${fault}`)
  if (faults.length > 0) process.exitCode = 1
}
