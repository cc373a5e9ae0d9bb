/** Bytes over a socket to a real server on Node: its parser, its limits, and senders that hang up. */
import { readFileSync } from 'node:fs'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { bytesOf, corpusSecrets } from '../corpus/corpus.ts'
import { newFolder, startRelay } from '../runtimes/relays.ts'
import { settingsFor } from '../support/settings.ts'
import { type RawAnswer, sendRaw } from '../support/socket.ts'
import { faultOf, problemIn, serversOwn } from './answers.ts'
import type { FuzzOptions, FuzzReport } from './app.ts'
import { type Draw, drawOf } from './draw.ts'
import { mutateBytes } from './mutate.ts'
import { anyRequest, plainSecret, provenRequest } from './requests.ts'

/** On loopback the relay answers a complete request much sooner. */
const unansweredMs = 150
/** More than this means that the server holds bodies longer than it should. */
const mostResidentBytes = 600_000_000

export async function fuzzServer({
  seed,
  from = 0,
  runs,
  untilMs = Number.POSITIVE_INFINITY,
}: FuzzOptions): Promise<FuzzReport> {
  await using emulator = await startEmulator({ autoSeed: true })
  const secrets = { ...corpusSecrets, HOOK_SECRET_PLAIN: plainSecret, HOOK_SECRET_PLAIN_FORM: plainSecret }
  const relay = await startRelay('node', newFolder(), settingsFor(emulator.origin, secrets), 'test/fuzz/sources.ts')
  const answers: Record<string, number> = {}
  const faults: string[] = []
  let run = from
  try {
    for (; run < from + runs && faults.length < 20 && Date.now() < untilMs; run++) {
      const bytes = await bytesFor(drawOf(seed, run))
      const given = await sendRaw(relay.url, bytes, unansweredMs)
      const [answer, fault] = judged(bytes, given)
      answers[answer] = (answers[answer] ?? 0) + 1
      if (fault !== undefined)
        faults.push(
          `--seed ${seed} --from ${run} --runs 1: ${fault} (${given?.status} ${given?.body.slice(0, 200)}): ${JSON.stringify(bytes.toString('latin1').slice(0, 400))}`,
        )
    }
    faults.push(...(await faultsOfProcess(relay)))
  } finally {
    await relay.end('SIGKILL')
  }
  return { runs: run - from, answers, faults }
}

async function bytesFor(draw: Draw): Promise<Buffer> {
  const bytes = bytesOf(await (draw.chance(0.5) ? provenRequest : anyRequest)(draw, Date.now()))
  return draw.chance(0.4) ? mutateBytes(draw, bytes) : bytes
}

function judged(bytes: Buffer, given: RawAnswer | undefined): [answer: string, fault?: string] {
  const [method = '', path = ''] = bytes.toString('latin1').split(' ')
  // The server hung up on something that is not HTTP, or the sender did before it was answered.
  if (given === undefined) return ['none']
  const problem = problemIn(given.body)
  const answer = `${given.status}${problem === undefined ? '' : ` ${problem}`}`
  if (given.body === '' && serversOwn.has(given.status)) return [answer]
  const headers = { get: (name: string) => given.headers.get(name) ?? null }
  const fault = faultOf(method, path, { status: given.status, headers, text: given.body })
  return fault === undefined ? [answer] : [answer, fault]
}

export async function faultsOfProcess({
  url,
  pid,
  printed,
}: Awaited<ReturnType<typeof startRelay>>): Promise<readonly string[]> {
  const health = await sendRaw(
    url,
    Buffer.from('GET /healthz HTTP/1.1\r\nhost: relay.example\r\nconnection: close\r\n\r\n'),
  )
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const residentBytes = 1_024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1])
  const bad = printed().match(/"event":"(request_failed|unhandled_rejection|work_failed)"[^\n]*/g) ?? []
  return [
    ...(health?.status === 200 ? [] : ['the server no longer answers']),
    ...(residentBytes < mostResidentBytes ? [] : [`the server holds ${residentBytes} bytes`]),
    ...new Set(bad),
  ]
}
