/** Requests to the app in this process, as many as there is time for. */
import { appOf } from '../corpus/app.ts'
import { type RawRequest, secretsBySource } from '../corpus/corpus.ts'
import { createWorld, type World } from '../support/world.ts'
import { faultOf, problemIn, toldToProven } from './answers.ts'
import { drawOf } from './draw.ts'
import { anyRequest, canary, plainSecret, provenRequest } from './requests.ts'
import { sources } from './sources.ts'

export interface FuzzOptions {
  readonly seed: number
  /** The first run. What a run draws depends only on the seed and its number. */
  readonly from?: number
  readonly runs: number
  /** Epoch ms at which it ends, even if runs are left. */
  readonly untilMs?: number
}

export interface FuzzReport {
  readonly runs: number
  /** The number of each answer. */
  readonly answers: Readonly<Record<string, number>>
  readonly faults: readonly string[]
}

/** After this many runs there is a new relay, so that the stored data does not grow with the runs. */
const runsPerWorld = 500
const shownFaults = 20
const hookSecrets = new Map([...secretsBySource, ['plain', [plainSecret]], ['plain-form', [plainSecret]]])

export async function fuzzApp({
  seed,
  from = 0,
  runs,
  untilMs = Number.POSITIVE_INFINITY,
}: FuzzOptions): Promise<FuzzReport> {
  const answers: Record<string, number> = {}
  const faults: string[] = []
  let relay = await countingRelay()
  let run = from
  for (; run < from + runs && faults.length < shownFaults && Date.now() < untilMs; run++) {
    if ((run - from) % runsPerWorld === runsPerWorld - 1) relay = await countingRelay()
    const draw = drawOf(seed, run)
    const isProven = draw.chance(0.5)
    const request = await (isProven ? provenRequest : anyRequest)(draw, relay.world.clock.now())
    const [answer, fault] = await relay.ask(request, isProven)
    answers[answer] = (answers[answer] ?? 0) + 1
    if (fault !== undefined) faults.push(`--seed ${seed} --from ${run} --runs 1: ${fault}: ${shown(request)}`)
  }
  return { runs: run - from, answers, faults }
}

async function countingRelay() {
  const world = await createWorld({ settings: { quotaLimit: 100_000 } })
  let kept = 0
  const counted: World = {
    ...world,
    backlog: {
      ...world.backlog,
      bury: (dead) => {
        kept++
        return world.backlog.bury(dead)
      },
    },
  }
  const send = appOf(counted, { sources, hookSecrets })

  /** The answer, and what is wrong with it. */
  async function ask(request: RawRequest, isProven: boolean): Promise<[answer: string, fault?: string]> {
    const [buriedBefore, sentBefore] = [kept, world.target.calls.length]
    let given: Awaited<ReturnType<typeof send>>
    try {
      given = await send(request)
    } catch (error) {
      // The platform cannot represent such a request, so it could not have arrived.
      return error instanceof TypeError ? ['no request'] : ['thrown', `it threw ${String(error)}`]
    }
    const problem = problemIn(given.text)
    const answer = `${given.status}${problem === undefined ? '' : ` ${problem}`}`
    const fault =
      faultOf(request.method, request.path, given) ??
      (isProven && problem !== undefined && !toldToProven.has(problem) ? 'authenticated, but rejected' : undefined) ??
      (given.text === '{"status":"quarantined"}' && kept === buriedBefore
        ? 'quarantined, but not stored'
        : undefined) ??
      (isProven &&
      /^\{("id":"(\\.|[^"])*",)?"status":"submitted"/.test(given.text) &&
      world.target.calls.length === sentBefore
        ? 'submitted, but not sent'
        : undefined) ??
      (request.path.startsWith('/hooks') && problem !== undefined && given.text.includes(canary)
        ? 'a problem repeats a value'
        : undefined)
    return fault === undefined ? [answer] : [answer, `${fault} (${given.status} ${given.text.slice(0, 200)})`]
  }
  return { world, ask }
}

function shown({ method, path, headers, body }: RawRequest): string {
  return `${method} ${path} ${JSON.stringify(headers)} ${JSON.stringify(body.toString('latin1').slice(0, 400))}`
}
