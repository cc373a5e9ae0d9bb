/** The commands of docs/operating.md, each run as it stands there against a real relay. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Emulator, startEmulator } from '../src/emulator/emulator.ts'
import { cli } from './support/cli.ts'
import { testSecrets } from './support/secrets.ts'
import { sendHook, signedHook } from './support/sender.ts'
import { startServer, type TestServer } from './support/server.ts'

const page = readFileSync('docs/operating.md', 'utf8')
/** The commands of its blocks, in their order, each under its question. */
const commands = page
  .split(/^##+ /m)
  .slice(1)
  .flatMap((section) => {
    const [question = ''] = section.split('\n')
    const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block)
    return blocks.flatMap((block) =>
      block
        .trim()
        .split('\n')
        .map((line) => [question, line] as const),
    )
  })

let emulator: Emulator
let server: TestServer
const key = (id: string, fill: number) => `${id}:${Buffer.alloc(32, fill).toString('base64')}`
const envOf = () => ({
  RELAY_URL: server.url,
  ADMIN_TOKEN: testSecrets.adminToken,
  TARGET_CLIENT_CODE: 'demo',
  TARGET_ORIGIN: emulator.origin,
})
const update = (body: object) =>
  fetch(`${server.url}/v1/updates`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

/** Something delivered, something refused, something unmappable, something that waits; sealed under an old key. */
beforeAll(async () => {
  emulator = await startEmulator({ autoSeed: true })
  const before = await startServer(emulator.origin, { settings: { BACKLOG_KEYS: key('k1', 1) } })
  server = before
  await update({ visitor: { thirdPartyId: '1' }, attributes: { tier: 'gold' } })
  emulator.faults.add({ kind: 'refuse', message: 'no such thing', count: 1 })
  await update({ visitor: { thirdPartyId: '2' }, attributes: { tier: 'gold' } })
  await sendHook(server.url, signedHook('loan', 'm1', { nothing: 'here' }))
  await server.relay.operator.pause(true)
  await update({ visitor: { thirdPartyId: '123456' }, attributes: { tier: 'gold' } })
  await before.stop()
  server = await startServer(emulator.origin, {
    folder: before.folder,
    settings: { BACKLOG_KEYS: `${key('k2', 2)},${key('k1', 1)}` },
  })
})
afterAll(async () => {
  await server.stop()
  await emulator[Symbol.asyncDispose]()
})

describe('docs/operating.md', () => {
  it('answers each question that an operator asks', () => {
    const questions = [...page.matchAll(/^## (.+)$/gm)].map(([, question]) => question)
    for (const question of [
      'Nothing arrives',
      'Why isn’t it in Target yet?'.replace('’', "'"),
      'We will run out',
      'A mapping was wrong',
      'A person asks to be deleted',
      'The key leaked',
      'Redis was emptied',
      'Several brands in one account',
      'What to alert on',
      'Upgrading',
    ])
      expect(questions).toContain(question)
  })

  it('says how to change each setting that is a secret', () => {
    const secrets = ['API_TOKENS', 'ADMIN_TOKEN', 'VIEW_TOKEN', 'HOOK_SECRET_<SOURCE>', 'TARGET_TOKEN', 'BACKLOG_KEYS']
    for (const secret of [...secrets, 'UPSTASH_REDIS_REST_TOKEN', 'ALERT_SECRET', 'HASH_KEY'])
      expect(page).toMatch(new RegExp(`^\\| .*\`${secret}\`.* \\|$`, 'm'))
  })

  let plan = ''
  const said = new Map<string, string>()
  it.each(commands)('%s: %s', async (question, line) => {
    const [name, ...args] = line.replace('<plan>', plan).split(' ')
    expect(name).toBe('target-relay')
    const { status, out, err } = await cli(args, envOf())
    // 1: Target lacks something, or a letter could not be mapped; never an error of use.
    expect([line, status, out, err]).toEqual([line, expect.toBeOneOf([0, 1]), expect.anything(), expect.anything()])
    expect([line, err]).toEqual([line, expect.not.stringMatching(/does not answer|no relay|^\w+: /)])
    plan = /^plan (\S+) /m.exec(out)?.[1] ?? plan
    said.set(`${question}: ${line}`, out)
  })

  it('what waits is told with its reason, and a letter with the words of Target', () => {
    expect(said.get("Why isn't it in Target yet?: target-relay verify 123456")).toMatch(/tier +waits/)
    expect(said.get("Why isn't it in Target yet?: target-relay backlog")).toMatch(/1 entry of 1 visitor[\s\S]*paused 1/)
    expect(said.get('Target refused an update: target-relay dead ls --reason rejected')).toMatch(
      /rejected +api +1 +no such thing/,
    )
  })

  it('the old key seals nothing at the end', () => {
    const at = 'The end of an old key of `BACKLOG_KEYS`'
    expect(said.get(`${at}: target-relay keys`)).toMatch(/k1: .* still/)
    expect(said.get(`${at}: target-relay keys reseal`)).toMatch(/sealed anew under k2/)
    expect(said.get(`${at}: target-relay keys reseal`)).not.toContain('k1')
  })
})
