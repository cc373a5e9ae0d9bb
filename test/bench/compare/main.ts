/**
 * `npm run bench:compare`: what the relay costs compared with the least that a Worker with a quota can do, and with what one
 * writes in an afternoon. All in one run on one machine: each round measures every variant once, and the result is
 * the median of the rounds. Linux only.
 *
 * `--seconds 5 --rounds 5 --senders 8,32`: how long and how often each is measured. `--only floor,node-sqlite`: these
 * only.
 * `--beside <folder>`: the relays of another version's tree too, as `node-sqlite-beside`. `--miniflare`: Workers as
 * `wrangler dev` runs them, behind Workers of its own. `--write`: writes docs/benchmarks.md.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { cpuMsOf } from './cpu.ts'
import type { LoadOrder, LoadResult } from './load.ts'
import { type Page, pageOf } from './page.ts'
import { type Round, summarize, tableOf } from './summary.ts'
import { floorName, type Stage, type Started, startModule, type Variant, variantsOn } from './variants.ts'

/** An unmeasured run before the first round, until hot code is compiled, which takes thousands of updates. */
const warmUpdates = 4_000
const warmAtMostMs = 20_000
const warmStepMs = 2_000
/** An unmeasured run before each round, so that connections are open and nothing of the previous round is left. */
const rampMs = 300
/** A wait after each round: the work after the last answers is part of what an update costs. */
const settleMs = 400

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    senders: { type: 'string', default: '8,32' },
    only: { type: 'string' },
    beside: { type: 'string' },
    miniflare: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
const roundMs = Number(options.seconds) * 1_000
const senderCounts = options.senders.split(',').map(Number)
/** Left out unless named, since the servers' usual ledger is their file. */
const usual = ({ name }: Variant) => !/^(node|deno|bun)-upstash/.test(name)

interface Bench {
  readonly target: ChildProcess
  readonly senders: ChildProcess
  readonly started: ReadonlyMap<string, Started>
}

const stops: (() => unknown)[] = []
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void end().finally(() => process.exit(130)))
try {
  await compare()
} finally {
  await end()
}

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-compare-'))
  stops.push(() => rmSync(folder, { recursive: true, force: true }))
  const startProcess = async (module: string, ...args: string[]) => {
    const started = await startModule(module, args)
    stops.push(() => endChild(started.child))
    return started
  }
  const { child: target, told: targetPort } = await startProcess('target-process.ts')
  const { child: senders } = await startProcess('load-process.ts')
  const stage: Stage = {
    targetOrigin: `http://127.0.0.1:${String(targetPort)}`,
    folder,
    workersOn: options.miniflare ? 'miniflare-process.ts' : 'workerd-process.ts',
    startProcess,
    atEnd: (stop) => stops.push(stop),
  }
  const only = options.only?.split(',')
  const variants = variantsOn(stage, options.beside).filter((one) => only?.includes(one.name) ?? usual(one))
  const started = new Map<string, Started>()
  for (const variant of variants) started.set(variant.name, await variant.start())

  const bench = { target, senders, started }
  for (const { name } of variants) await warm(bench, name, Math.max(...senderCounts))
  const tables: Page['tables'][number][] = []
  const busiest = new Map<string, number>()
  for (const count of senderCounts) {
    const rounds: Round[] = []
    for (let round = 0; round < Number(options.rounds); round++)
      // Each round begins with another variant, so that none always follows the same one.
      for (const index of variants.keys()) {
        const { name } = variants[(index + round) % variants.length] ?? variants[0] ?? { name: '' }
        const { measured, shares } = await measure(bench, name, count, roundMs)
        rounds.push({ variant: name, senders: count, round, ...measured })
        for (const [who, share] of Object.entries(shares)) busiest.set(who, Math.max(busiest.get(who) ?? 0, share))
      }
    const order = new Map(variants.map(({ name }, index) => [name, index]))
    rounds.sort((a, b) => (order.get(a.variant) ?? 0) - (order.get(b.variant) ?? 0))
    const table = tableOf(summarize(rounds, floorName))
    tables.push({ senders: count, table })
    console.log(`\n${count} senders\n${table}`)
  }
  const helpers = [...busiest].map(([who, share]) => `${who} ${Math.round(share * 100)} %`).join(', ')
  console.log(`\nBeside the variants, of one core at most: ${helpers}`)
  if (options.write) {
    const file = fileURLToPath(new URL('../../../docs/benchmarks.md', import.meta.url))
    writeFileSync(
      file,
      pageOf({
        miniflare: options.miniflare,
        variants,
        tables,
        helpers,
        seconds: Number(options.seconds),
        rounds: Number(options.rounds),
      }),
    )
  }
}

async function warm(bench: Bench, name: string, count: number): Promise<void> {
  const untilMs = performance.now() + warmAtMostMs
  for (let updates = 0; updates < warmUpdates && performance.now() < untilMs; )
    updates += (await measure(bench, name, count, warmStepMs)).updates
}

/** @throws if an update was not answered 200, or Target was not called for each */
async function measure({ target, senders, started }: Bench, name: string, count: number, ms: number) {
  const { port, pid, upstashPid } = started.get(name) ?? { port: 0, pid: 0 }
  const order = { port, senders: count, name: `${name}-${process.pid}` }
  await ask<LoadResult>(senders, { ...order, ms: rampMs } satisfies LoadOrder)
  await sleep(settleMs)
  const watched = {
    senders: senders.pid ?? 0,
    Target: target.pid ?? 0,
    ...(upstashPid === undefined ? {} : { Upstash: upstashPid }),
  }
  const helpersBefore = Object.values(watched).map(cpuMsOf)
  const callsBefore = await ask<number>(target, 'calls')
  const before = cpuMsOf(pid)
  const result = await ask<LoadResult>(senders, { ...order, ms } satisfies LoadOrder)
  await sleep(settleMs)
  const tookCpuMs = cpuMsOf(pid) - before
  const calls = (await ask<number>(target, 'calls')) - callsBefore
  if (result.refused > 0 || calls !== result.updates)
    throw new Error(
      `${name}: of ${result.updates} updates ${result.refused} were not answered 200, Target was called ${calls} times`,
    )
  const shares = Object.fromEntries(
    Object.entries(watched).map(([who, helper], index) => [
      who,
      (cpuMsOf(helper) - (helpersBefore[index] ?? 0)) / result.tookMs,
    ]),
  )
  return {
    updates: result.updates,
    measured: {
      perSecond: (result.updates * 1_000) / result.tookMs,
      p50Ms: result.p50Ms,
      p99Ms: result.p99Ms,
      cpuMs: tookCpuMs / result.updates,
    },
    shares,
  }
}

function ask<Answer>(child: ChildProcess, message: object | string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error('a process of the benchmark ended'))
    child.once('exit', ended)
    child.once('message', (answer) => {
      child.off('exit', ended)
      resolve(answer as Answer)
    })
    child.send(message)
  })
}

/** When its channel closes, a module of the benchmark stops what it started, and ends. */
async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.disconnect()
  await ended
}

async function end(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop()
}
