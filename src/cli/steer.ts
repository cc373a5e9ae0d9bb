/** `target-relay pause`, `resume`, `breaker`: what stops and starts the calls to Target. */
import { parseArgs } from 'node:util'
import { causeInWords } from '../core/operator/health-words.ts'
import { clockTime } from '../core/words.ts'
import { paused } from '../edge/contract/admin.ts'
import { status } from '../edge/contract/status.ts'
import { print, relayOptions, wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { Misuse } from './errors.ts'
import { adminClient } from './relay-client.ts'

export const pause: Command = {
  summary: 'stop all calls to Target; updates wait meanwhile',
  usage: `target-relay pause [--relay <url>] [--json]

Stops all calls to Target until target-relay resume (ADMIN_TOKEN). What comes in is kept in the backlog.`,
  run: (io) => steer(io, '/admin/api/pause'),
}

export const resume: Command = {
  summary: 'let calls to Target go again',
  usage: `target-relay resume [--relay <url>] [--json]

Ends a pause (ADMIN_TOKEN). What waits is sent by the flush.`,
  run: (io) => steer(io, '/admin/api/resume'),
}

async function steer({ args, env, out }: Parameters<Command['run']>[0], path: string) {
  const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
  wantArguments(positionals, 0)
  const answer = await adminClient({ env }, values.relay).tell(path, undefined, paused)
  print({ out }, values.json, answer, (said) => [
    said.paused
      ? 'paused: nothing is sent, what comes in waits until target-relay resume'
      : 'resumed: calls go again, and the next flush begins with what waits',
  ])
  return exit.ok
}

export const breaker: Command = {
  summary: 'show the breaker, or close it',
  usage: `target-relay breaker [close] [--relay <url>] [--json]

Shows whether the breaker holds calls back, and why. close forgets what opened it, so that calls go again at once
(ADMIN_TOKEN); if Target still fails it opens again. It closes by itself when a probe succeeds.`,

  async run({ args, env, out }) {
    const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
    const [what] = positionals
    wantArguments(positionals, 1)
    if (what !== undefined && what !== 'close') throw new Misuse('say close, or nothing')
    const client = adminClient({ env }, values.relay)
    if (what === 'close') await client.post('/admin/api/breaker/close')
    const { said, whole } = await client.ask('/admin/api/status', status)
    const open = said.breaker
    const known = { breaker: (whole as { breaker?: unknown }).breaker ?? null }
    print({ out }, values.json, { said: open, whole: known }, (opened) => [
      opened === undefined
        ? `closed${what === 'close' ? ': calls go again' : ''}`
        : `open since ${clockTime(opened.since, { nowMs: Date.now() })}: ${causeInWords(opened.cause)}`,
    ])
    return exit.ok
  },
}
