/**
 * `npm run bench:window [-- --patterns 10000] [--seed 1] [--itself 20] [--write]`: the ledger's window beside
 * `slidingWindow` of `@upstash/ratelimit` and an exact log, on patterns of requests that are drawn at random. Exit 1 if the
 * ledger's window lets one too many through in any rolling 24 h, lets less through than 99.5 % of the exact log, or if the
 * arithmetic of `slidingWindow` used here differs from the library on the first `--itself` patterns (on a real Redis).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { startUpstashStandIn } from '../../support/upstash-stand-in.ts'
import { exactLog, type Limiter, ledgerWindow, mostWithin, slidingWindow, slidingWindowItself } from './limiters.ts'
import { drawPattern, type Kind, kinds } from './patterns.ts'

const { values } = parseArgs({
  options: {
    patterns: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    itself: { type: 'string', default: '20' },
    write: { type: 'boolean', default: false },
  },
})
const wantedShare = 0.995
const page = fileURLToPath(new URL('../../../docs/window.md', import.meta.url))

interface Sums {
  patterns: number
  requests: number
  passed: number
  /** Patterns in which more than the limit passed within some window, and the most, as a share of the limit. */
  over: number
  most: number
  /** The least of a pattern, as a share of the exact log. */
  least: number
}
const names = ['exact log', 'ledger', 'slidingWindow'] as const
type Name = (typeof names)[number]
const newSums = (): Sums => ({ patterns: 0, requests: 0, passed: 0, over: 0, most: 0, least: Number.POSITIVE_INFINITY })
const sums = new Map<string, Sums>()
const sumsOf = (name: Name, kind: Kind | 'all') => {
  const key = `${name} ${kind}`
  const found = sums.get(key) ?? newSums()
  sums.set(key, found)
  return found
}

const limiters: Readonly<Record<Name, Limiter>> = {
  'exact log': exactLog,
  ledger: ledgerWindow(),
  slidingWindow,
}
const [count, firstSeed] = [Number(values.patterns), Number(values.seed)]
const problems: string[] = []
for (let seed = firstSeed; seed < firstSeed + count; seed++) {
  const { kind, limit, times } = drawPattern(seed)
  let exact = 0
  for (const name of names) {
    const passed = limiters[name](limit, times)
    const gone = passed.filter((one) => one).length
    const most = mostWithin(times, passed)
    if (name === 'exact log') exact = gone
    if (name === 'ledger' && most > limit) problems.push(`seed ${seed}: ${most} of ${limit} in a window`)
    for (const sum of [sumsOf(name, kind), sumsOf(name, 'all')]) {
      sum.patterns++
      sum.requests += times.length
      sum.passed += gone
      if (most > limit) sum.over++
      sum.most = Math.max(sum.most, most / limit)
      sum.least = Math.min(sum.least, exact === 0 ? 1 : gone / exact)
    }
  }
}
const ofExact = (name: Name, kind: Kind | 'all') => sumsOf(name, kind).passed / sumsOf('exact log', kind).passed
if (ofExact('ledger', 'all') < wantedShare) problems.push(`the ledger lets only ${ofExact('ledger', 'all')} through`)

const itself = Math.min(count, Number(values.itself))
if (itself > 0) {
  await using standIn = await startUpstashStandIn()
  for (let seed = firstSeed; seed < firstSeed + itself; seed++) {
    const { limit, times } = drawPattern(seed)
    const real = await slidingWindowItself(standIn, limit, times)
    const here = slidingWindow(limit, times)
    const differs = real.findIndex((one, at) => one !== here[at])
    if (differs !== -1) problems.push(`seed ${seed}: slidingWindow itself answers request ${differs} otherwise`)
  }
}

const percent = (share: number) => `${(share * 100).toFixed(2)} %`
const rows = [...kinds, 'all' as const].flatMap((kind) =>
  names
    .filter((name) => name !== 'exact log' && sumsOf(name, kind).patterns > 0)
    .map((name) => {
      const { patterns, requests, over, most, least } = sumsOf(name, kind)
      const cells = [kind, name, patterns, requests, percent(ofExact(name, kind)), percent(least), over, percent(most)]
      return `| ${cells.join(' | ')} |`
    }),
)
const table = `| pattern | limiter | patterns | requests | let through, of the exact log | the least of a pattern | patterns over the limit | the most in 24 h, of the limit |
| --- | --- | --: | --: | --: | --: | --: | --: |
${rows.join('\n')}`
console.log(table)
console.log(
  `slidingWindow itself, on a Redis: the same in ${itself} of ${itself} patterns${problems.length > 0 ? ', but see below' : ''}`,
)
for (const problem of problems.slice(0, 20)) console.error(problem)
if (values.write && problems.length === 0) {
  const text = readFileSync(page, 'utf8')
  writeFileSync(page, text.replace(/<!-- table -->[\s\S]*<!-- end -->/, `<!-- table -->\n\n${table}\n\n<!-- end -->`))
}
process.exitCode = problems.length === 0 ? 0 : 1
