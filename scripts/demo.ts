/**
 * `npm run demo`: the main job in front of your eyes, no account, no network.
 *
 * Starts an Adobe Target stand-in and the relay in real workerd, sends signed webhooks of the four example sources until
 * a small quota runs out, flushes the backlog until it is empty, and holds what the stand-in has against what was sent.
 * `--sabotage drop|swap|repeat` makes the stand-in misbehave; the demo must then exit 1.
 */
import { parseArgs } from 'node:util'
import { startEmulator } from '../test/emulator/emulator.ts'
import { startWorkerdRelay, settingsFor } from '../test/support/workerd.ts'
import { judge } from './demo/judge.ts'
import { sendAll } from './demo/send.ts'
import { makeEvents } from './demo/events.ts'
import { heading, progress, table } from './demo/screen.ts'

const { values: options } = parseArgs({ options: { sabotage: { type: 'string' } } })
const quota = 60
const windowMs = 6_000
const slackMs = 1_000
/** Longer than any honest run; past it what still waits counts as lost. */
const patienceMs = 40_000

const emulator = await startEmulator({ clientCode: 'demo', autoSeed: true, windowMs })
const relay = await startWorkerdRelay(
  settingsFor(emulator.origin, {
    QUOTA_LIMIT: String(quota),
    QUOTA_WINDOW_MS: String(windowMs),
    QUOTA_BUCKET_MS: '50',
    QUOTA_SLACK_MS: String(slackMs),
    TARGET_TIMEOUT_MS: '1000',
    ANSWER_DEADLINE_MS: '2000',
    BACKOFF_BASE_MS: '200',
  }),
)
