/** A few runs of the simulator with each test run; `npm run sim -- --seeds 10000` does it properly. */
import { beforeAll, describe, expect, it } from 'vitest'
import { addCoverage, noCoverage } from './coverage.ts'
import { useSynchronousCrypto } from './crypto.ts'
import { type Draw, draws } from './draws.ts'
import { allCells, impossible, missing } from './reach.ts'
import { readReached } from './reached.ts'
import { runSeed } from './run.ts'

beforeAll(useSynchronousCrypto)

/** Seeds that once broke a guarantee without any of the draws, and what they found. */
const found: readonly [seed: number, what: string][] = [
  [10, 'two consecutive refusals forgot what was open below both (G3)'],
  [24, 'a refused merge was taken for a verdict on each of its events (G3)'],
  [93, 'a settle that failed left an entry without attributes, which nothing could read or remove (G7)'],
  [177, 'a bare 404 of a wrong address was taken for a verdict on an earlier try (G3)'],
]

/** Seeds that broke one with these draws. */
const foundByDraws: readonly [seed: number, draws: readonly Draw[], what: string][] = [
  [1, ['tiny limits', 'odd sizes'], 'a bulk read that was too large stopped every run (G7)'],
  [1, ['refused visitor'], 'one visitor that the ledger could not admit stopped all replay (G7)'],
  [1, ['tiny budgets'], 'with a small budget of operations nothing was replayed (G7)'],
  [1, ['sick key'], 'one key that KV could not read stopped every run (G7)'],
  [8, ['clocks'], 'what a fast clock took in was sent before its time and held back all others (G3)'],
  [11, ['knobs'], 'another bucket width granted the quota again (G1)'],
  [31, ['knobs'], 'another bucket width never freed the quota (G7)'],
  [40, ['ledger clock'], 'a clock that was ahead for a moment made registers expire (G3)'],
  [136, ['subrequests'], "the platform's subrequest limit counted as a failure of Target (G7)"],
]

describe('the simulator', () => {
  it.each(foundByDraws)('seed %i with %j: %s', async (seed, only) => {
    expect((await runSeed(seed, { only })).violation).toBeUndefined()
  })

  it.each(found)('seed %i: %s', async (seed) => {
    expect((await runSeed(seed, { only: [] })).violation).toBeUndefined()
  })

  it('finds no broken guarantee in seeds that are new each day', { timeout: 120_000 }, async () => {
    const from = Math.floor(Date.now() / 86_400_000) * 100_000
    const seeds = 150
    console.log(`seeds ${from} to ${from + seeds - 1}: npm run sim -- --from ${from} --seeds ${seeds}`)
    const broken: string[] = []
    const coverage = noCoverage()
    for (let seed = from; seed < from + seeds; seed++) {
      const result = await runSeed(seed)
      addCoverage(coverage, result.coverage)
      if (result.violation !== undefined) broken.push(`seed ${seed}: ${result.violation}`)
    }
    expect(broken).toEqual([])
    expect(coverage.calls).toBeGreaterThan(seeds)
    expect(coverage['deferred: quota']).toBeGreaterThan(seeds)
    expect(coverage.merges).toBeGreaterThan(seeds)
  })

  it('is deterministic: a seed gives the same run each time', async () => {
    const options = { traced: true, only: draws.filter((draw) => draw !== 'hot visitor') }
    const [one, other] = [await runSeed(7, options), await runSeed(7, options)]
    expect(one.trace.length).toBeGreaterThan(100)
    expect(other.trace).toEqual(one.trace)
    expect(other.reached).toEqual(one.reached)
  })

  it('reports a cell of the coverage table that so many seeds should have reached', () => {
    const before = { seeds: 10_000, nights: { 'verdict send | lane live': 9_000, 'verdict erased | lane high': 30 } }
    expect(missing(before, { seeds: 1_000, nights: {} })).toEqual(['verdict send | lane live'])
    expect(missing(before, { seeds: 1_000, nights: { 'verdict send | lane live': 1 } })).toEqual([])
    expect(missing(before, { seeds: 10_000, nights: { 'verdict send | lane live': 1 } })).toEqual([
      'verdict erased | lane high',
    ])
  })

  it('has reached no cell that is said to be impossible, and knows all reached cells', () => {
    const cells = Object.keys(readReached().nights)
    expect(cells.filter((cell) => impossible(cell) !== undefined)).toEqual([])
    expect(cells.filter((cell) => !allCells.includes(cell))).toEqual([])
    expect(cells.length).toBeGreaterThan(100)
  })
})
