/** `target-relay dead plan|run|cancel`: what will be done with a set of dead letters, and doing it. */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type * as z from 'zod'
import { breakdown, clockTime, counted, figure } from '../core/words.ts'
import { planRun, plan as planShape } from '../edge/contract/dead.ts'
import { print, relayOptions, wantArguments } from './asking.ts'
import { type Exit, exit, type Io } from './command.ts'
import { filterOf, filterOptions } from './dead-filter.ts'
import { Misuse } from './errors.ts'
import { adminClient } from './relay-client.ts'

type Plan = z.output<typeof planShape>
type Run = z.output<typeof planRun>

const planActions = ['replay', 'remap', 'drop'] as const
/** Between two questions about a run that goes on with each flush. */
const askEveryMs = 2_000

export async function planDead({ args, env, out, progress }: Io): Promise<Exit> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      ...relayOptions,
      ...filterOptions,
      keys: { type: 'string' },
      'as-new': { type: 'boolean', default: false },
    },
    allowPositionals: true,
  })
  const [action] = positionals
  wantArguments(positionals, 1)
  if (!planActions.some((one) => one === action)) throw new Misuse(`expected one of ${planActions.join(', ')}`)
  const filter = filterOf(values)
  const keys = values.keys?.split(',').map((key) => key.trim())
  if (keys !== undefined && Object.keys(filter).length > 0) throw new Misuse('give a filter or --keys, not both')
  if (values['as-new'] && action === 'drop') throw new Misuse('--as-new is for what is sent again')
  const asked = {
    action,
    ...(keys === undefined ? { filter } : { keys }),
    ...(values['as-new'] ? { asNew: true } : {}),
  }
  const client = adminClient({ env }, values.relay)
  let answer = await client.tell('/admin/api/dead/plan', asked, planShape)
  // The set of a large plan is listed by the flushes that follow.
  while (!answer.said.complete) {
    progress?.(`${counted(answer.said.letters, 'letter')} so far`)
    await sleep(askEveryMs)
    answer = await client.ask(`/admin/api/dead/plans/${answer.said.plan}`, planShape)
  }
  progress?.('')
  print({ out }, values.json, answer, (said) => planLines(said))
  return exit.ok
}

function* planLines({
  plan,
  action,
  letters,
  updates,
  calls,
  superseded,
  doneBy,
  expiresAt,
  ...more
}: Plan): Generator<string> {
  const clock = { nowMs: Date.now() }
  const what = { replay: 'sends again', remap: 'maps again', drop: 'removes for good' }[action]
  yield `plan ${plan} ${what} ${counted(letters, 'letter')}; nothing is done yet`
  const parts = [
    ...(updates === undefined ? [] : [counted(updates, 'update')]),
    ...(calls === undefined ? [] : [counted(calls, 'call')]),
    ...(superseded === undefined
      ? []
      : more.estimated === true
        ? [`about ${figure(superseded)} superseded by newer values (by ${figure(more.sampled ?? 0)} drawn at random)`]
        : [`${figure(superseded)} superseded by newer values`]),
  ]
  if (action !== 'drop' && parts.length > 0) yield parts.join(', ')
  const stay = breakdown(more.stay)
  if (stay !== '') yield `would stay: ${stay}`
  if (doneBy !== undefined) yield `at the present quota it is through by ${clockTime(doneBy, clock)}`
  yield `do it: target-relay dead run ${plan} (until ${clockTime(expiresAt, clock)})`
}

export async function runPlan({ args, env, out, progress }: Io): Promise<Exit> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...relayOptions, 'no-wait': { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  const plan = planOf(positionals)
  const client = adminClient({ env }, values.relay)
  let answer = await client.tell('/admin/api/dead/run', { plan }, planRun)
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    while (answer.said.state === 'running' && !values['no-wait'] && !stopping.signal.aborted) {
      progress?.(runInWords(answer.said))
      await sleep(askEveryMs, undefined, { signal: stopping.signal }).catch(() => undefined)
      answer = await client.ask(`/admin/api/dead/plans/${plan}`, planRun)
    }
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop)
  }
  progress?.('')
  print({ out }, values.json, answer, (said) => [runInWords(said)])
  return answer.said.failed > 0 || answer.said.state === 'cancelled' ? exit.failed : exit.ok
}

export async function cancelPlan({ args, env, out }: Io): Promise<Exit> {
  const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
  const plan = planOf(positionals)
  const client = adminClient({ env }, values.relay)
  print({ out }, values.json, await client.tell(`/admin/api/dead/plans/${plan}/cancel`, undefined, planRun), (said) => [
    runInWords(said),
  ])
  return exit.ok
}

function runInWords({ plan, state, done, of, failed, stay }: Run): string {
  const goesOn = state === 'running' ? '; it goes on with each flush' : ''
  const fails = failed === 0 ? '' : `, ${figure(failed)} stay: ${breakdown(stay)}`
  return `plan ${plan} ${state}: ${figure(done)} of ${counted(of, 'letter')}${fails}${goesOn}`
}

function planOf(positionals: readonly string[]): string {
  const [plan] = positionals
  wantArguments(positionals, 1)
  if (plan === undefined || !/^[\w-]+$/.test(plan)) throw new Misuse('name one plan')
  return plan
}
