/** `target-relay dev`: what it prints works as it is printed, on a server and in workerd; it stops with all that it started. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createOutput } from '../../src/cli/dev/output.ts'
import { curlsIn, type Running, runningCommand, shell } from '../support/dev.ts'
import { freePort } from '../support/redis.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'src/cli/main.ts')
const dev = (folder: string, port: number, ...more: string[]) =>
  runningCommand([process.execPath, main, 'dev', '--port', String(port), ...more], folder)

const desk = (name: string, attribute: string) => `
  source('${name}', {
    auth: standardWebhooks(),
    schema: z.object({ id: id(), customer: id(), at: eventTime() }),
    map: (e) => ({ id: e.id, visitor: { thirdPartyId: e.customer }, occurredAt: e.at, attributes: { ${attribute}: e.id } }),
    sample: { id: 'case-1', customer: 'it\\'s $me', at: '2026-01-01T00:00:00Z' },
  }),`
const sourcesWith = (...entries: string[]) => `
import * as z from 'zod'
import { eventTime, id, source, standardWebhooks } from '${join(root, 'src/index.ts')}'
export const sources = [${entries.join('')}]
`

/** A folder with sources, as a server's: without wrangler.toml. */
function serverProject(...entries: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-dev-'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'sources.ts'), sourcesWith(...entries))
  return folder
}

/** Free ports, one behind the other. */
async function twoPorts(): Promise<number> {
  for (;;) {
    const port = await freePort()
    if (await isFree(port + 1)) return port
  }
}
function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Runs each command of curl as it is printed; what it answers, in their order. */
async function answersTo(running: Running): Promise<readonly string[]> {
  const answers: string[] = []
  for (const command of curlsIn(running.printed())) answers.push(await shell(`${command} --silent --show-error`))
  return answers
}

describe('target-relay dev', { timeout: 180_000 }, () => {
  it('runs the clone in workerd: each printed request is taken and arrives, and Ctrl-C ends all of it', async () => {
    const port = await twoPorts()
    await using running = dev(root, port, '--sources', 'src/sources.ts')
    await running.until('profile?visitor=pc')
    const answers = await answersTo(running)
    // An update and four sources, each with a look at the profile.
    expect(answers).toHaveLength(10)
    for (const [index, answer] of answers.entries())
      if (index % 2 === 0) expect(JSON.parse(answer)).toMatchObject({ status: 'submitted' })
    expect(answers.slice(1, 2)).toEqual(['{"loanStatus":"funded"}'])
    expect(JSON.parse(answers.at(-1) ?? '')).toEqual({ lastKioskPage: '/rates' })
    // Nothing of wrangler's that is untrue here.
    expect(running.printed()).not.toMatch(/WARNING|ERROR|Missing|not automatically/)
    expect(await running.stop()).toBe(0)
    expect([await isFree(port), await isFree(port + 1)]).toEqual([true, true])
  })

  it('runs a server where there is no wrangler.toml, and reads a source that is added while it runs', async () => {
    const folder = serverProject(desk('desk', 'lastCase'))
    const port = await twoPorts()
    await using running = dev(folder, port)
    await running.until(/# source desk[\s\S]*profile\?visitor/)
    expect(JSON.parse((await answersTo(running))[2] ?? '')).toMatchObject({ status: 'submitted' })

    writeFileSync(join(folder, 'sources.ts'), sourcesWith(desk('desk', 'lastCase'), desk('till', 'lastTill')))
    await running.until(/# source till[\s\S]*profile\?visitor/)
    const [added, profile] = curlsIn(running.printed()).slice(-2)
    expect(JSON.parse(await shell(`${added} --silent`))).toMatchObject({ status: 'submitted' })
    expect(JSON.parse(await shell(`${profile} --silent`))).toMatchObject({ lastTill: 'case-1', lastCase: 'case-1' })

    // A mistake is said, and what ran before runs on.
    writeFileSync(join(folder, 'sources.ts'), 'export const sources = [')
    await running.until(/^dev: sources\.ts cannot be loaded/m)
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
    expect(await running.stop('SIGTERM')).toBe(0)
  })

  it('begins anew, or with --keep where the last run ended', async () => {
    const folder = serverProject(desk('desk', 'lastCase'))
    const port = await twoPorts()
    const profile = `http://127.0.0.1:${port + 1}/__emulator/profile?visitor=3p:123456`
    const run = async (...more: string[]) => {
      const running = dev(folder, port, ...more)
      await running.until(/# source desk[\s\S]*profile\?visitor/)
      return running
    }
    const update = (running: Running) => shell(`${curlsIn(running.printed())[0]} --silent`)
    {
      await using running = await run()
      expect(JSON.parse(await update(running))).toMatchObject({ status: 'submitted' })
    }
    {
      await using _ = await run('--keep')
      expect(await (await fetch(profile)).json()).toEqual({ loanStatus: 'funded' })
      const { quota } = (await (
        await fetch(`http://127.0.0.1:${port}/admin/api/status`, {
          headers: { authorization: 'Bearer dev-admin-token-of-this-machine' },
        })
      ).json()) as { quota: { used: number } }
      expect(quota.used).toBe(1)
    }
    {
      await using _ = await run()
      expect((await fetch(profile)).status).toBe(404)
    }
  })

  it('takes settings of .dev.vars before its own, but never calls another Target', async () => {
    const folder = serverProject(desk('desk', 'lastCase'))
    const own = {
      ADMIN_TOKEN: 'a-token-of-my-own-machine',
      HOOK_SECRET_DESK: 'whsec_bXktb3duLXNlY3JldC1vZi0yNC1ieXRlcw==',
    }
    const lines = { ...own, TARGET_CLIENT_CODE: 'acme', TARGET_ORIGIN: 'https://acme.tt.omtrdc.net', EMPTY: '' }
    writeFileSync(
      join(folder, '.dev.vars'),
      Object.entries(lines)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    )
    await using running = dev(folder, await twoPorts())
    await running.until(/# source desk[\s\S]*profile\?visitor/)
    expect(running.printed()).toContain('password a-token-of-my-own-machine')
    expect(running.printed()).toContain(`HOOK_SECRET_DESK=${own.HOOK_SECRET_DESK}`)
    const [update, , hook, profile] = curlsIn(running.printed())
    for (const command of [update, hook])
      expect(JSON.parse(await shell(`${command} --silent`))).toMatchObject({ status: 'submitted' })
    expect(JSON.parse(await shell(`${profile} --silent`))).toEqual({ lastCase: 'case-1' })
  })

  it('is stopped as well while it starts', async () => {
    const folder = serverProject(desk('desk', 'lastCase'))
    const port = await twoPorts()
    const running = dev(folder, port)
    await expect.poll(() => existsSync(join(folder, '.target-relay')), { timeout: 60_000 }).toBe(true)
    expect(await running.stop()).toBe(0)
    expect([await isFree(port), await isFree(port + 1)]).toEqual([true, true])
  })

  it('says what keeps the relay from starting', async () => {
    const folder = serverProject(desk('desk', 'lastCase'))
    writeFileSync(join(folder, '.dev.vars'), 'QUOTA_LIMIT=many\n')
    const running = dev(folder, await twoPorts())
    const status = await new Promise((resolve) => running.process.once('close', resolve))
    expect([status, running.printed()]).toEqual([
      1,
      expect.stringMatching(/^dev: the relay did not start:\n.*QUOTA_LIMIT/),
    ])
  })

  it('says that wrangler is not installed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'target-relay-dev-'))
    mkdirSync(join(folder, 'src'))
    writeFileSync(join(folder, 'wrangler.toml'), readFileSync(join(root, 'wrangler.toml')))
    const running = dev(folder, await twoPorts())
    const status = await new Promise((resolve) => running.process.once('close', resolve))
    expect([status, running.printed()]).toEqual([
      1,
      expect.stringMatching(/^dev: wrangler is not installed here: npm install.*\n$/),
    ])
  })
})

describe('what dev shows of the output', () => {
  const esc = String.fromCharCode(27)
  const shownOf = (text: string) => {
    const output = createOutput()
    return text.split('\n').flatMap((line) => output.show(line) ?? [])
  }

  it('hides the banner, the bindings and the warning that is untrue, and keeps true ones', () => {
    expect(
      shownOf(`
 ⛅️ wrangler 4.164.0
────────────────────
Using secrets defined in .target-relay/dev.env
Your Worker has access to the following bindings:
env.BACKLOG                  KV Namespace              local

${esc}[33m▲ ${esc}[43;33m[${esc}[43;30mWARNING${esc}[43;33m]${esc}[0m ${esc}[1mScheduled Workers are not automatically triggered during local development.${esc}[0m

  To manually trigger a scheduled event, run:
    curl "http://127.0.0.1:8791/cdn-cgi/local/scheduled"

▲ [WARNING] The compatibility date is in the future

  Change it.

⎔ Starting local server...
[wrangler:info] Ready on http://127.0.0.1:8787
[wrangler:info] GET /healthz 200 OK (3ms)
[wrangler:info] GET /cdn-cgi/handler/scheduled 200 OK (3ms)
[wrangler:info] POST /hooks/loan 200 OK (3ms)
{"level":"info","event":"flush","read":0,"merged":0}
{"level":"info","event":"flush","read":2,"merged":0}
▲ [WARNING] {"level":"warn","event":"unauthenticated"}

✘ [ERROR] {"level":"error","event":"flush_failed"}

⎔ Reloading local server...`),
    ).toEqual([
      '▲ [WARNING] The compatibility date is in the future',
      '  Change it.',
      'POST /hooks/loan 200 OK (3ms)',
      '{"level":"info","event":"flush","read":2,"merged":0}',
      '{"level":"warn","event":"unauthenticated"}',
      '{"level":"error","event":"flush_failed"}',
      '⎔ Reloading local server...',
    ])
  })
})
