/** One call to Target by the real adapter, in a separate process that may be suspended. Arguments: URL, START in ms. */
import process from 'node:process'
import { httpTarget } from '../../src/core/wire/http.ts'
import { systemClock } from '../../src/relay/runtime.ts'

const [url = '', startWithinMs = ''] = process.argv.slice(2)
const target = httpTarget({
  timeoutMs: 20_000,
  strict: true,
  fetch: (input, init) => fetch(input, init),
  clock: systemClock,
  retentionMs: 3_600_000,
  streamBody: true,
})
const body = 'mbox3rdPartyId=made-up&profile.tier=old'
process.stdout.write('asked\n')
const answer = await target.send(
  { method: 'POST', url, body, bytes: body.length, names: ['tier'], units: 1 },
  Date.now() + Number(startWithinMs),
)
process.stdout.write(`${JSON.stringify(answer)}\n`)
