/**
 * `npm run demo`: watch the relay work, without an account or a network.
 *
 * Starts an Adobe Target stand-in and the relay in real workerd, sends signed webhooks of the four example sources until
 * a small quota runs out, flushes the backlog until it is empty, and compares what the stand-in has with what was sent.
 * `--keep` leaves it running behind that, to look at it in the console, until Ctrl-C.
 * `--sabotage drop|swap|repeat` makes the stand-in misbehave behind the relay's back; the demo must then exit 1.
 */
import { parseArgs } from 'node:util'
import { untilStopped } from '../src/cli/until-stopped.ts'
import { startEmulator } from '../src/emulator/emulator.ts'
import type { FaultKind } from '../src/emulator/faults.ts'
import { testSecrets } from '../test/support/secrets.ts'
import { sendHook } from '../test/support/sender.ts'
import { settingsFor } from '../test/support/settings.ts'
import { startWorkerdRelay } from '../test/support/workerd.ts'
import { makeEvents } from './demo/events.ts'
import { isClean, judge, type Sent } from './demo/judge.ts'
import { heading, progress, table } from './demo/screen.ts'

const { values: options } = parseArgs({
  options: { sabotage: { type: 'string' }, keep: { type: 'boolean', default: false } },
})
const quota = 60
const windowMs = 6_000
const eventCount = 200
const visitors = 25
const sendersAtOnce = 8
/** Longer than any honest run takes; what is still deferred then counts as lost. */
const patienceMs = 40_000

await using emulator = await startEmulator({ autoSeed: true, windowMs })
await using relay = await startWorkerdRelay(
  settingsFor(emulator.origin, {
    QUOTA_LIMIT: String(quota),
    QUOTA_WINDOW_MS: String(windowMs),
    QUOTA_BUCKET_MS: '50',
    QUOTA_SLACK_MS: '1000',
    TARGET_TIMEOUT_MS: '1000',
    ANSWER_DEADLINE_MS: '2000',
    BACKOFF_BASE_MS: '200',
  }),
)
if (options.sabotage !== undefined) emulator.faults.add({ kind: options.sabotage as FaultKind, share: 0.3 })

heading(
  `1. ${eventCount} signed webhooks of ${visitors} customers; Target allows ${quota} calls in any ${windowMs / 1_000} s`,
)
const sent: Sent[] = []
// A customer's newest event may come first: senders retry and overtake each other.
const queue = [...makeEvents(eventCount, visitors, Date.now() - 60_000)].sort(
  (a, b) => (a.occurredAtMs % 5) - (b.occurredAtMs % 5),
)
await Promise.all(
  Array.from({ length: sendersAtOnce }, async () => {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      const { status, answer } = await sendHook(relay.url, event.request)
      sent.push({
        event,
        status,
        answer: String(answer['reason'] === undefined ? answer['status'] : `${answer['status']}`),
      })
      progress(`${sent.length} of ${eventCount} answered`, queue.length === 0 && sent.length === eventCount)
    }
  }),
)
const sources = [...new Set(sent.map(({ event }) => event.source))].sort()
const count = (source: string, answer: string) =>
  sent.filter((one) => one.event.source === source && one.answer === answer).length
table([
  ['source', 'sent', 'submitted', 'deferred', 'superseded'],
  ...sources.map((source) => [
    source,
    sent.filter((one) => one.event.source === source).length,
    count(source, 'submitted'),
    count(source, 'deferred'),
    count(source, 'superseded'),
  ]),
])

heading('2. The backlog in Workers KV is flushed as the quota frees up; updates of one customer are merged')
const startedMs = Date.now()
let waiting = await relay.keys('b1/')
const atFirst = waiting.length
while (waiting.length > 0 && Date.now() - startedMs < patienceMs) {
  await relay.flush()
  waiting = await relay.keys('b1/')
  progress(
    `${atFirst - waiting.length} of ${atFirst} replayed, ${emulator.statistics().calls} calls so far`,
    waiting.length === 0,
  )
  if (waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, 250))
}
const runs = relay.logs().filter((line) => line['event'] === 'flush' && Number(line['read']) > 0)
table([
  ['run', 'read', 'calls', 'saved', 'left waiting', 'stopped'],
  ...runs
    .filter((run) => Number(run['calls']) > 0)
    .map((run, index) => [
      `${index + 1}`,
      Number(run['read']),
      Number(run['calls']),
      Number(run['callsSaved']),
      Number(run['deferredAgain']),
      String(run['stopped']),
    ]),
])

heading('3. What Target holds, compared with what was sent')
const judgement = judge(
  sent,
  (visitor) => emulator.profiles.values(visitor),
  emulator.statistics(),
  waiting.length,
  quota,
)
table([['', 'count'], ...Object.entries(judgement).map(([name, value]) => [name, value])])
console.log(isClean(judgement) ? '\nNothing lost, nothing stale, never over the quota.' : '\nNOT CLEAN: see above.')
console.log(JSON.stringify(judgement))
process.exitCode = isClean(judgement) ? 0 : 1
if (options.keep) {
  const stopped = untilStopped()
  console.log(`\nconsole: ${relay.url}/admin, user admin, password ${testSecrets.adminToken}. Ctrl-C ends it.`)
  await stopped
}
