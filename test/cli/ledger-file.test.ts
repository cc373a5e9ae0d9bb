/** The file that moves a ledger: unless it is exactly what was written, it is rejected before anything is imported. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { readLedgerFile, writeLedgerFile } from '../../src/cli/ledger-file.ts'
import type { MovedState } from '../../src/core/ledger/moved.ts'
import { createHasher, hashKeyName } from '../../src/core/update/hash.ts'
import { cli } from '../support/cli.ts'
import { type FakeAnswer, startFakeRelay } from '../support/fake-relay.ts'
import { testSecrets } from '../support/secrets.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-ledger-file-'))
let serial = 0
const pathOf = () => join(folder, `ledger-${++serial}.ndjson`)
const file = (content: string) => {
  const path = pathOf()
  writeFileSync(path, content)
  return path
}
const nowMs = Date.now()
const stamp = `t${nowMs}${nowMs}${'0'.repeat(16)}`
const none: MovedState = { units: [], visitors: [], events: [] }
const visitor = (hash: string, name = 'tier') => ({
  hash,
  registers: [{ name, done: stamp, open: [] }],
  keptUntilMs: nowMs + 1,
})
const parts: readonly MovedState[] = [
  { ...none, units: [{ account: '', lastMs: nowMs, units: 412 }] },
  { ...none, visitors: [visitor('a1', 'a\u2028b"'), visitor('a2')] },
  { ...none, events: [{ event: 'e1', stamp, atMs: nowMs, done: true, keptUntilMs: nowMs + 1 }] },
]
let hashKey = ''
let whole = ''
const lines = () => whole.trimEnd().split('\n')

beforeAll(async () => {
  hashKey = await hashKeyName(await createHasher(testSecrets.hashKey))
  const path = pathOf()
  const writer = await writeLedgerFile(path, 'abc')
  await writer.head(hashKey)
  for (const part of parts) await writer.part(part)
  await writer.end()
  await writer.close()
  whole = readFileSync(path, 'utf8')
})

/** Imports through a relay that accepts everything. */
async function imported(content: string) {
  using relay = await startFakeRelay(() => ({ body: {} }))
  const ran = await cli(['ledger', 'import', file(content), '--relay', relay.url], { ADMIN_TOKEN: 'made-up' })
  return { ...ran, taken: relay.requests.map(({ body }) => JSON.parse(body) as MovedState) }
}
/** These lines as the current format has them. */
function checkedLines(contents: readonly object[]): string {
  let last = ''
  return contents
    .map((content) => {
      const text = JSON.stringify(content)
      last = createHash('sha256').update(`${last}\n${text}`).digest('hex').slice(0, 16)
      return `${text.slice(0, -1)},"check":"${last}"}\n`
    })
    .join('')
}
const old = (
  more: readonly object[] = parts.map((part, index) => ({ id: `abc:${index}`, ...part })),
  end: object = { end: true },
) =>
  [{ targetRelayLedger: 1, exportedAt: '2026-11-24T10:00:00Z', hashKey }, ...more, end]
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('')

describe('an export', () => {
  it('is imported with its epoch last: half an import is not yet that ledger', async () => {
    const life = { epoch: 'e0', granted: 500 }
    const path = pathOf()
    const writer = await writeLedgerFile(path, 'abd')
    await writer.head(hashKey)
    for (const part of parts) await writer.part(part === parts[0] ? { ...part, life, lostMs: nowMs } : part)
    await writer.end()
    await writer.close()
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600')
    const { status, taken } = await imported(readFileSync(path, 'utf8'))
    expect(status).toBe(0)
    expect(taken.map((part) => part.life)).toEqual([undefined, undefined, undefined, life])
    // The new ledger knows of the loss from its first part on.
    expect(taken.map((part) => part.lostMs)).toEqual([nowMs, undefined, undefined, nowMs])
  })

  it('is read as it was written, also with Unicode line separators', async () => {
    const read: MovedState[] = []
    for await (const { part } of readLedgerFile(file(whole), nowMs)) read.push(part)
    expect(read).toEqual(parts.map((part, index) => ({ id: `abc:${index}`, ...part })))
    expect(await imported(whole)).toMatchObject({
      status: 0,
      err: expect.stringContaining('412 units, 2 visitors, 1 events taken into'),
    })
  })

  it('of format 1 is imported if its numbers and its end are whole', async () => {
    expect(await imported(old())).toMatchObject({
      status: 0,
      taken: [{ id: 'abc:0' }, { id: 'abc:1' }, { id: 'abc:2' }],
    })
  })

  it('larger than a ledger accepts at once is split into parts, by bytes', async () => {
    const path = pathOf()
    const writer = await writeLedgerFile(path, 'abc')
    await writer.head(hashKey)
    await writer.part({
      ...none,
      visitors: Array.from({ length: 4_000 }, (_, n) => visitor(n.toString(16), '語'.repeat(128))),
    })
    await writer.end()
    await writer.close()
    const sizes = readFileSync(path)
      .toString('latin1')
      .split('\n')
      .map((line) => line.length)
    expect(Math.max(...sizes)).toBeLessThan(1_000_000)
    expect(sizes.length).toBeGreaterThan(4)
  })
})

describe('is rejected with its line, and nothing is imported:', () => {
  const at = (line: number) => new RegExp(`line ${line}\\b`)
  it.each<[string, () => string, RegExp]>([
    ['a file without its units', () => [...lines().slice(0, 1), ...lines().slice(2)].join('\n'), at(2)],
    ['a file that lost a line', () => [...lines().slice(0, 2), ...lines().slice(3)].join('\n'), at(3)],
    ['a file with a repeated line', () => [...lines().slice(0, 3), ...lines().slice(2)].join('\n'), at(4)],
    [
      'a file whose lines were sorted',
      () => [lines()[0], lines()[2], lines()[1], ...lines().slice(3)].join('\n'),
      at(2),
    ],
    ['an edited number', () => whole.replace('"units":412', '"units":1'), at(2)],
    ['an edited head', () => whole.replace(/"hashKey":"./, '"hashKey":"x'), at(1)],
    ['the same export twice', () => whole + whole, at(6)],
    ['a mix of two exports', () => [...lines().slice(0, 2), ...lines()].join('\n'), at(3)],
    ['a file cut after a line', () => lines().slice(0, -1).join('\n'), /behind line 4/],
    ['a file cut within a line', () => whole.slice(0, -30), at(5)],
    [
      'a file of another format',
      () => checkedLines([{ targetRelayLedger: 3, exportedAt: '', hashKey: 'x' }]),
      /format 3/,
    ],
    [
      'a file without parts',
      () =>
        checkedLines([
          { targetRelayLedger: 2, exportedAt: '', hashKey: 'x' },
          { end: true, parts: 0 },
        ]),
      at(2),
    ],
    [
      'a file whose end has another number of parts',
      () =>
        checkedLines([
          { targetRelayLedger: 2, exportedAt: '', hashKey: 'x' },
          { id: 'a:0', ...none },
          { end: true, parts: 2 },
        ]),
      at(3),
    ],
    [
      'format 1 without its units',
      () => old([{ id: 'abc:1', ...parts[1] }]),
      /line 2: is part 1, where part 0 belongs/,
    ],
    [
      'format 1 with a repeated line',
      () => old([0, 0].map((n) => ({ id: `abc:${n}`, ...parts[0] }))),
      /line 3: is part 0, where part 1/,
    ],
    [
      'format 1 of two exports',
      () =>
        old([
          { id: 'abc:0', ...none },
          { id: 'abd:1', ...none },
        ]),
      /line 3: is of another export/,
    ],
    ['format 1 twice', () => old() + old(), at(6)],
    [
      'format 1 nested in format 1',
      () => old([{ id: 'abc:0', ...none }, { targetRelayLedger: 1 }]),
      /line 3: begins another export/,
    ],
    ['a part without a number', () => old([{ ...parts[0] }]), /line 2: has no number/],
    ['no units', () => old([{ id: 'abc:0', visitors: [], events: [] }]), /line 2: units: Invalid input/],
    [
      'negative units',
      () => old([{ id: 'abc:0', ...none, units: [{ account: '', lastMs: nowMs, units: -5 }] }]),
      /line 2: units.0.units: Too small/,
    ],
    [
      'a fraction of a unit',
      () => old([{ id: 'abc:0', ...none, units: [{ account: '', lastMs: nowMs, units: 0.5 }] }]),
      /line 2: units.0.units/,
    ],
    ['a loss in the future', () => old([{ id: 'abc:0', ...none, lostMs: nowMs + 1e12 }]), /line 2: lostMs/],
    [
      'an invalid stamp',
      () => old([{ id: 'abc:0', ...none, visitors: [{ ...visitor('a'), registers: [{ name: 'x', open: ['t1'] }] }] }]),
      /line 2: visitors.0.registers.0.open.0/,
    ],
    [
      'an unknown field',
      () => old([{ id: 'abc:0', ...none, canary: 1 }]),
      /line 2: the part: has fields that are not known/,
    ],
    ['a list', () => `[1]\n`, /no export/],
    ['a line that is not an object', () => old([7 as never]), /line 2: is no JSON object/],
  ])('%s', async (_, content, message) => {
    const ran = await imported(content())
    expect(ran).toMatchObject({ status: 2, err: expect.stringMatching(message), taken: [] })
    expect(ran.err).not.toMatch(/canary|\n/)
  })

  it('any change of one byte (property)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 0x21, max: 0x7e }), async (place, code) => {
        const index = place % (whole.length - 1)
        const changed = whole.slice(0, index) + String.fromCharCode(code) + whole.slice(index + 1)
        fc.pre(changed !== whole)
        const read = async () => {
          for await (const _ of readLedgerFile(file(changed), nowMs));
        }
        await expect(read()).rejects.toMatchObject({ name: 'Misuse' })
      }),
      { numRuns: 200 },
    )
  })
})

describe('an import', () => {
  const redis = (url: string) => ({
    UPSTASH_REDIS_REST_URL: url,
    UPSTASH_REDIS_REST_TOKEN: 'token-canary',
    HASH_KEY: testSecrets.hashKey,
  })

  it.each<[string, FakeAnswer]>([
    ['that Redis refuses', { status: 400, body: { error: 'ERR max request size exceeded' } }],
    ['that is answered with an HTML page', { status: 502, body: '<html>' }],
    ['that is answered with something else', { body: { result: 'x' } }],
  ])('%s gives the reason in one line, without what it sent, and says what to do', async (_, answer) => {
    // The ledger has no owner yet.
    using upstash = await startFakeRelay((_, body) => (body.startsWith('["get"') ? { body: { result: null } } : answer))
    const ran = await cli(['ledger', 'import', file(whole)], redis(upstash.url))
    expect([ran.status, ran.err]).toEqual([
      1,
      expect.stringMatching(/^ledger: nothing is known to be taken in; import it again[^\n]*$/),
    ])
    expect(ran.err).not.toMatch(/evalsha|command was|units"|token-canary/)
    expect(ran.err.length).toBeLessThan(400)
  })

  it('that breaks off says how far it got', async () => {
    using relay = await startFakeRelay((_, __, count) =>
      count > 1 ? { status: 503, body: { title: 'Not now' } } : { body: {} },
    )
    const ran = await cli(['ledger', 'import', file(whole), '--relay', relay.url], { ADMIN_TOKEN: 'made-up' })
    expect([ran.status, ran.err]).toEqual([
      1,
      expect.stringMatching(/412 units, 0 visitors, 0 events are taken in; import it again.*503 Not now$/),
    ])
  })
})

describe('an export from', () => {
  const state = { part: { ...none, units: [{ account: '', lastMs: nowMs, units: 3 }] }, hashKey: 'x' }
  const exportFrom = async (answer: (path: string) => FakeAnswer) => {
    using relay = await startFakeRelay(answer)
    const path = pathOf()
    const ran = await cli(['ledger', 'export', path, '--wait-ms', '0', '--relay', relay.url], {
      ADMIN_TOKEN: 'made-up',
    })
    return { ...ran, path, left: readdirSync(folder).filter((name) => name.startsWith(path.split('/').at(-1) ?? '')) }
  }

  it.each<[string, FakeAnswer, RegExp]>([
    ['a server that answers HTML', { body: '<html>' }, /no relay/],
    ['a relay that answers half a part', { body: { ...state, part: { units: [] } } }, /none of a ledger \(visitors/],
    [
      'a relay that answers negative units',
      { body: { ...state, part: { ...none, units: [{ account: '', lastMs: 1, units: -1 }] } } },
      /none of a ledger \(units/,
    ],
    ['a relay that breaks off', { status: 503, body: { title: 'Not now' } }, /503 Not now/],
  ])('%s leaves nothing, and says that the relay stays paused', async (_, answer, message) => {
    const ran = await exportFrom((path) => (path.endsWith('pause') ? { body: { paused: true } } : answer))
    expect(ran).toMatchObject({ status: 1, err: expect.stringMatching(message), left: [] })
    expect(ran.err).toMatch(/stays paused: export again, or resume it/)
  })

  it('a relay is complete under its name, or does not exist', async () => {
    const ran = await exportFrom((path) => ({ body: path.endsWith('pause') ? {} : state }))
    expect(ran).toMatchObject({ status: 0, left: [ran.path.split('/').at(-1)] })
    expect(await imported(readFileSync(ran.path, 'utf8'))).toMatchObject({
      status: 0,
      taken: [{ units: [{ units: 3 }] }],
    })
    expect(await cli(['ledger', 'export', ran.path], { ADMIN_TOKEN: 'x' })).toMatchObject({
      status: 2,
      err: expect.stringContaining('there already'),
    })
    expect(await cli(['ledger', 'export', join(folder, 'no', 'such')], { ADMIN_TOKEN: 'x' })).toMatchObject({
      status: 2,
      err: expect.stringContaining('cannot be written'),
    })
  })
})
