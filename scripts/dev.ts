/**
 * `npm run dev`: relay (port 8787), Target stand-in (8788) and a cron ticker, until Ctrl-C. `wrangler dev` fires no crons
 * by itself. Each start begins afresh: the stand-in forgets its profiles, and so must the relay.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmulator } from '../src/emulator/emulator.ts'

const relayPort = 8787
const emulatorPort = 8788
const tickEveryMs = 10_000
const apiToken = 'dev-api-token-of-this-machine'

const emulator = await startEmulator({ port: emulatorPort, autoSeed: true })
const settings = {
  TARGET_CLIENT_CODE: 'demo',
  TARGET_ORIGIN: emulator.origin,
  HASH_KEY: 'a-hash-key-for-development-only-32-bytes',
  API_TOKENS: apiToken,
  ADMIN_TOKEN: 'dev-admin-token-of-this-machine',
  HOOK_SECRET_CALL_CENTRE: 'whsec_ZGV2ZWxvcG1lbnQtb25seS1zZWNyZXQ=',
  HOOK_SECRET_LOAN: 'whsec_ZGV2ZWxvcG1lbnQtb25seS1zZWNyZXQ=',
  HOOK_SECRET_LOYALTY: 'whsec_ZGV2ZWxvcG1lbnQtb25seS1zZWNyZXQ=',
  HOOK_SECRET_KIOSK: 'dev-kiosk-token',
}
const state = mkdtempSync(join(tmpdir(), 'target-relay-dev-'))
const relay = spawn(
  'wrangler',
  [
    'dev',
    '--port',
    String(relayPort),
    '--ip',
    '127.0.0.1',
    '--show-interactive-dev-session=false',
    '--persist-to',
    state,
    ...Object.entries(settings).flatMap(([name, value]) => ['--var', `${name}:${value}`]),
  ],
  { stdio: 'inherit', env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' } },
)
const origin = `http://127.0.0.1:${relayPort}`
const stopping = new AbortController()
const stop = () => {
  stopping.abort()
  relay.kill('SIGTERM')
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
relay.once('exit', () => {
  stopping.abort()
  rmSync(state, { recursive: true, force: true })
  void emulator.close()
})

/** True if the relay answers there. */
const reaches = (path: string) =>
  fetch(`${origin}${path}`, { signal: stopping.signal }).then(
    (response) => response.ok,
    () => false,
  )
while (!stopping.signal.aborted && !(await reaches('/healthz'))) await sleep(200)
if (!stopping.signal.aborted)
  console.log(`
relay on ${origin}, Target stand-in on ${emulator.origin}, a flush every ${tickEveryMs / 1_000} s. Try:

  curl -X POST ${origin}/v1/updates -H 'authorization: Bearer ${apiToken}' -H 'content-type: application/json' \\
    -d '{"visitor":{"thirdPartyId":"123456"},"attributes":{"loanStatus":"funded"}}'
  curl '${emulator.origin}/__emulator/profile?visitor=3p:123456'
`)
while (!stopping.signal.aborted) {
  await sleep(tickEveryMs, undefined, { signal: stopping.signal }).catch(() => undefined)
  if (!stopping.signal.aborted) await reaches('/cdn-cgi/handler/scheduled')
}
