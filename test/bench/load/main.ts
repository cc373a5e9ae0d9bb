/**
 * `npm run bench:load`: how many events a second the relay takes on each runtime while Target takes 150 ms, and what it does
 * at twice that rate. Senders do not wait for answers. Linux only.
 *
 * For each relay: a ramp finds the highest rate at which 99 of 100 answers come within a second and none is 5xx. Then twice
 * that rate is held: every answer must be 200, 202, or 503 with Retry-After, and memory must stay where it is. Then the
 * backlog drains, and every acknowledged event must be at Target, or a newer one of its attribute, or be kept. Exits with
 * 1 if something of this is not so. The rates are also given as ratios to a bare server of the same runtime.
 *
 * `--short`: some seconds a relay. `--hold 60`: seconds at twice the rate. `--seed 1`: of times and visitors.
 * `--only node-sqlite,bun-sqlite`: these only. `--write`: writes docs/load.md. State
 * is kept in `TMPDIR`.
 */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, URL } from 'node:url'
import { parseArgs } from 'node:util'
import { type Held, judge, type TargetRecord } from '../../load/judge.ts'
import { operate } from '../../runtimes/relays.ts'
import { residentBytesOf } from '../compare/cpu.ts'
import type { LoadOrder, LoadResult, SentEvents } from './open-loop.ts'
import { pageOf, type Result, tableOf } from './page.ts'
import { highestHeld, nextRate, type Search, type Step } from './ramp.ts'
import { floorsOn, type Relay, relaysOn, type Stage, type Started } from './variants.ts'

const targetDelayMs = 150
const slowestMs = 1_000
/** Between two steps, and before the first: work behind answers ends. */
const calmMs = 500
const flushEveryMs = 1_000
const sampleEveryMs = 250
const shownCharacters = 2_000
/** The type of a file system in memory, as Linux numbers them. */
const tmpfs = 0x01021994
/** Of the quota, which no run here reaches. */
const quota = { windowMs: 86_400_000, quotaLimit: 999_000 }

const { values: options } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    hold: { type: 'string' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const { warmMs, stepMs, holdMs, drainMs, search } = options.short
  ? { warmMs: 1_500, stepMs: 2_000, holdMs: 5_000, drainMs: 5_000, search: { factor: 2, precision: 1.5 } }
  : { warmMs: 6_000, stepMs: 8_000, holdMs: 60_000, drainMs: 240_000, search: { factor: 1.6, precision: 1.1 } }
const heldMs = options.hold === undefined ? holdMs : Number(options.hold) * 1_000
const whole: Search = { from: 50, most: 20_000, ...search }

const stops = new Set<() => unknown>()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void end().finally(() => process.exit(130)))
try {
  await bench()
} finally {
  await end()
}

interface Helpers {
  readonly target: ChildProcess
  readonly senders: ChildProcess
}

async function bench(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-load-'))
  stops.add(() => rmSync(folder, { recursive: true, force: true }))
  const { child: target, told } = await startProcess(
    new URL('target-process.ts', import.meta.url),
    String(targetDelayMs),
  )
  const stage: Stage = { targetOrigin: `http://127.0.0.1:${String(told)}`, folder, startProcess, endProcess }
  const only = options.only?.split(',')
  const relays = relaysOn(stage).filter(({ name }) => only?.includes(name) ?? true)
  const newHelpers = async (): Promise<Helpers> => {
    const { child } = await startProcess(new URL('open-loop-process.ts', import.meta.url), options.seed)
    return { target, senders: child }
  }

  const floors = new Map<string, number>()
  for (const { name, start } of floorsOn(stage)) {
    if (!relays.some(({ floor }) => floor === name)) continue
    const helpers = await newHelpers()
    const started = await startedBy(start)
    await warm(helpers, started)
    floors.set(name, (await ramp(`floor ${name}`, helpers, started)) ?? 0)
    await started.stop()
    await endProcess(helpers.senders)
    await ask<TargetRecord>(target, 'record')
  }
  const results: Result[] = []
  for (const relay of relays) {
    const helpers = await newHelpers()
    const result = await load(relay, helpers, floors.get(relay.floor) ?? 0)
    results.push(result)
    await endProcess(helpers.senders)
    for (const fault of result.faults) console.log(`FAULT ${relay.name}: ${fault}`)
  }
  console.log(`\n${tableOf(results)}`)
  if (results.some(({ faults }) => faults.length > 0)) process.exitCode = 1
  if (options.write)
    writeFileSync(
      fileURLToPath(new URL('../../../docs/load.md', import.meta.url)),
      pageOf({
        ...{ results, relays, targetDelayMs, slowestMs, heldMs, stepMs, precision: search.precision },
        onDisk: statfsSync(folder).type !== tmpfs,
      }),
    )
}

async function load(relay: Relay, helpers: Helpers, floorRate: number): Promise<Result> {
  const started = await startedBy(relay.start)
  await warm(helpers, started)
  const rate = (await ramp(relay.name, helpers, started)) ?? 0
  if (rate === 0) throw new Error(`${relay.name} holds no rate at all`)
  await sleep(calmMs)
  const memory = watchMemory(started.pid)
  const flushing = keepFlushing(started)
  const held = await send(helpers, started, 2 * rate, heldMs)
  const used = memory.stop()
  await flushing.stop()
  const last = await drain(started)
  const events = new Map(await ask<SentEvents>(helpers.senders, 'events'))
  const record = await ask<TargetRecord>(helpers.target, 'record')
  // What waits is counted by itself.
  const verdict = judge({ events, record, held: [{ ...last, waiting: [] }], ...quota })
  const restMb = residentBytesOf(started.pid) / 1e6
  await started.stop()
  const result = {
    name: relay.name,
    rate,
    floorRate,
    held,
    memory: { ...used, restMb },
    acknowledged: [...events.values()].filter(({ acknowledgedOf }) => acknowledgedOf !== undefined).length / 3,
    waiting: last.waiting.length,
    verdict,
  }
  return { ...result, faults: faultsOf(result) }
}

/** What must not be, in words. */
function faultsOf({ held, memory, verdict, acknowledged }: Omit<Result, 'faults'>): readonly string[] {
  const strange = Object.entries(held.statuses).filter(([status]) => !['200', '202', '503'].includes(status))
  return [
    ...strange.map(([status, count]) => `${count} events were answered ${status === '0' ? 'nothing' : status}`),
    ...(held.bare > 0 ? [`${held.bare} answers of 503 had no Retry-After`] : []),
    ...(memory.lateMb > 1.3 * memory.earlyMb + 50 ? ['memory grew while the load was held'] : []),
    ...(['lost', 'stale', 'sentAgain', 'strange', 'windowsOver'] as const).flatMap((name) =>
      verdict[name] > 0 ? [`${name}: ${verdict[name]}`] : [],
    ),
    ...(acknowledged === 0 ? ['nothing was acknowledged'] : []),
  ]
}

async function startedBy<S extends Pick<Started, 'stop'>>(start: () => Promise<S>): Promise<S> {
  const started = await start()
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    await started.stop()
  }
  stops.add(stop)
  return { ...started, stop }
}

async function warm(helpers: Helpers, started: Pick<Started, 'port'>): Promise<void> {
  await send(helpers, started, whole.from, warmMs / 3)
  await send(helpers, started, whole.from * 2, (warmMs * 2) / 3)
}

async function ramp(name: string, helpers: Helpers, started: Pick<Started, 'port'>): Promise<number | undefined> {
  const steps: Step[] = []
  for (let rate = nextRate(steps, whole); rate !== undefined; rate = nextRate(steps, whole)) {
    await sleep(calmMs)
    const result = await send(helpers, started, rate, stepMs)
    const isWell = Object.keys(result.statuses).every((status) => Number(status) > 0 && Number(status) < 500)
    const held = isWell && result.p99Ms < slowestMs
    steps.push({ rate, held })
    console.log(
      `${name.padEnd(16)} ${rate.toFixed(0).padStart(6)}/s  p50 ${result.p50Ms.toFixed(0)} ms  p99 ${result.p99Ms.toFixed(0)} ms  ${JSON.stringify(result.statuses)}${held ? '' : '  not held'}`,
    )
  }
  return highestHeld(steps)
}

function send({ senders }: Helpers, { port }: Pick<Started, 'port'>, rate: number, ms: number): Promise<LoadResult> {
  return ask<LoadResult>(senders, { port, rate, ms } satisfies LoadOrder)
}

function watchMemory(pid: number) {
  const idleMb = residentBytesOf(pid) / 1e6
  const startMs = performance.now()
  const samples: { readonly atMs: number; readonly mb: number }[] = []
  const timer = setInterval(
    () => samples.push({ atMs: performance.now() - startMs, mb: residentBytesOf(pid) / 1e6 }),
    sampleEveryMs,
  )
  return {
    stop: () => {
      clearInterval(timer)
      const most = (from: number, to: number) =>
        Math.max(0, ...samples.filter(({ atMs }) => atMs >= from && atMs < to).map(({ mb }) => mb))
      return { idleMb, earlyMb: most(0, heldMs / 2), lateMb: most(heldMs / 2, Number.POSITIVE_INFINITY) }
    },
  }
}

/** Runs of the flush beside the load, as the cron starts them. */
function keepFlushing({ port }: Pick<Started, 'port'>) {
  let going = true
  const flushing = (async () => {
    while (going) {
      await flush(port)
      await sleep(flushEveryMs)
    }
  })()
  return {
    stop: async () => {
      going = false
      await flushing
    },
  }
}

/** Runs of the flush until nothing waits, or for as long as it may take. */
async function drain({ port, held }: Pick<Started, 'port' | 'held'>): Promise<Held> {
  const untilMs = performance.now() + drainMs
  for (;;) {
    const last = await held()
    if (last.waiting.length === 0 || performance.now() > untilMs) return last
    await flush(port)
    await sleep(flushEveryMs)
  }
}

/** An overloaded relay may not answer. */
async function flush(port: number): Promise<void> {
  await operate({ url: `http://127.0.0.1:${port}` }, '/flush').catch(() => {})
}

function ask<Answer>(child: ChildProcess, message: object | string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error('a process of the bench ended'))
    child.once('exit', ended)
    child.once('message', (answer) => {
      child.off('exit', ended)
      resolve(answer as Answer)
    })
    child.send(message)
  })
}

/**
 * A process with a channel to its parent: it ends with the channel, not by Ctrl-C. What it complains of, and an overloaded
 * relay complains a lot, is shown only if it does not start.
 */
async function startProcess(module: URL, ...args: string[]) {
  const file = fileURLToPath(module)
  const child = fork(file, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], detached: true })
  stops.add(() => endProcess(child))
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-shownCharacters)
  })
  const told = await new Promise<unknown>((resolve, reject) =>
    child.once('message', resolve).once('exit', (code) => reject(new Error(`${file} ended with ${code}: ${text}`))),
  )
  return { child, told }
}

/** When its channel closes, a module of the bench stops what it started, and ends. */
async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.disconnect()
  await ended
}

async function end(): Promise<void> {
  for (const stop of [...stops].reverse()) await stop()
  stops.clear()
}
