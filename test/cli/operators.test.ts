/** The commands that talk to a relay: against a real server on SQLite, and a stand-in for Target. */
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatOf, type Row, readRows } from '../../src/cli/rows.ts'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { cli, type Ran } from '../support/cli.ts'
import { testSecrets } from '../support/secrets.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../support/upstash-stand-in.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-operators-'))
let serial = 0
const file = (content: string, end = 'txt') => {
  const path = join(folder, `file-${++serial}.${end}`)
  writeFileSync(path, content)
  return path
}
const envOf = ({ url }: Pick<TestServer, 'url'>, more: Record<string, string> = {}) => ({
  RELAY_URL: url,
  API_TOKEN: testSecrets.apiToken,
  ADMIN_TOKEN: testSecrets.adminToken,
  TARGET_CLIENT_CODE: 'demo',
  ...more,
})
const reportOf = ({ out }: Ran) => JSON.parse(out) as Record<string, number>

describe('files of updates', () => {
  const rowsOf = async (path: string) => {
    const rows: Row[] = []
    for await (const row of readRows(path, await formatOf(path))) rows.push(row)
    return rows
  }

  it('Adobe’s bulk format: short rows, empty cells, URL-encoded cells', async () => {
    const path = file('batch=pcId,param1,param2,param%203\n123,value1\n124,value1,,a%2Cb%0A\n\n125,,%E2%82%AC+\r\n')
    expect(await rowsOf(path)).toEqual([
      { line: 2, update: { visitor: { pcId: '123' }, attributes: { param1: 'value1' } } },
      { line: 3, update: { visitor: { pcId: '124' }, attributes: { param1: 'value1', 'param 3': 'a,b\n' } } },
      { line: 5, update: { visitor: { pcId: '125' }, attributes: { param2: '€+' } } },
    ])
  })

  it('its header may follow batch= on the same line', async () => {
    expect(await rowsOf(file('batch=\nthirdPartyId,a\n1,x\n'))).toEqual([
      { line: 3, update: { visitor: { thirdPartyId: '1' }, attributes: { a: 'x' } } },
    ])
  })

  it('CSV: quotes, line breaks in cells, a byte order mark, columns of the event', async () => {
    const path = file(
      '\uFEFFthirdPartyId,id,occurredAt,note\n1,e1,2026-11-24T10:00:00Z,"a ""b"", c\nd"\n2,,,x%20y\n',
      'csv',
    )
    expect(await rowsOf(path)).toEqual([
      {
        line: 3,
        update: {
          visitor: { thirdPartyId: '1' },
          id: 'e1',
          occurredAt: '2026-11-24T10:00:00Z',
          attributes: { note: 'a "b", c\nd' },
        },
      },
      { line: 4, update: { visitor: { thirdPartyId: '2' }, attributes: { note: 'x%20y' } } },
    ])
  })

  it('NDJSON: updates as the API accepts them', async () => {
    const update = { visitor: { pcId: '1-2' }, attributes: { a: { b: 'x' } } }
    expect(await rowsOf(file(`${JSON.stringify(update)}\n\n[1]\n{`, 'ndjson'))).toEqual([
      { line: 1, update },
      { line: 3, error: 'is no JSON object: each line holds one whole object' },
      { line: 4, error: 'is not JSON: each line holds one whole object' },
    ])
  })

  it.each<[string, string]>([
    ['too many cells', 'batch=pcId,a\n1,x,y'],
    ['a malformed escape', 'batch=pcId,a\n1,%zz'],
    ['malformed UTF-8', 'batch=pcId,a\n1,%ff'],
    ['no visitor', 'batch=pcId,a\n,x'],
    ['only a visitor', 'batch=pcId,a\n1'],
  ])('a row with %s is an error, the next row is read', async (_, content) => {
    const [wrong, right] = await rowsOf(file(`${content}\n2,x\n`))
    expect(wrong).toEqual({ line: 2, error: expect.any(String) })
    expect(right).toMatchObject({ line: 3, update: { visitor: { pcId: '2' } } })
  })

  it('a quote that is never closed ends the file, and is reported', async () => {
    const rows = await rowsOf(file('pcId,a\n1,x\n2,"y\n3,z\n', 'csv'))
    expect(rows[0]).toMatchObject({ line: 2 })
    expect(rows[1]).toMatchObject({ line: 3, ends: true, error: expect.stringContaining('a quote that is not closed') })
  })

  it.each<[string, string, string]>([
    ['an unknown first column', 'batch=email,a\n1,x', 'txt'],
    ['two columns with one name', 'batch=pcId,a,a\n1,x,y', 'txt'],
    ['a column whose name cannot be decoded', 'batch=pcId,a%E4\n1,x', 'txt'],
    ['a column without a name', 'pcId,,a\n1,x,y', 'csv'],
    ['an unknown format', 'hello', 'txt'],
  ])('%s is rejected before anything is sent', async (_, content, end) => {
    const ran = await cli(['send', file(content, end)], { API_TOKEN: 'x', RELAY_URL: 'http://127.0.0.1:9' })
    expect(ran.status).toBe(2)
    expect(ran.err).toMatch(/first column|two columns|no name|neither|write a percent sign as %25/)
  })
})

describe('send', () => {
  it('delivers every row, and a second run costs no call', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const rows = Array.from({ length: 350 }, (_, n) => `${n},v${n}%26`)
    const path = file(`batch=thirdPartyId,tier\n${rows.join('\n')}\n`)
    const first = await cli(['send', path], envOf(server))
    expect([first.status, reportOf(first)]).toEqual([
      0,
      { rows: 350, submitted: 350, refused: 0, durationMs: expect.any(Number) },
    ])
    for (const n of [0, 99, 100, 349]) expect(emulator.profiles.values(`3p:${n}`)).toEqual({ tier: `v${n}&` })
    expect(reportOf(await cli(['send', path], envOf(server)))).toMatchObject({ duplicate: 350 })
    expect(emulator.statistics().calls).toBe(350)
  })

  it('recommends Adobe’s Bulk API for a large file', async () => {
    const send = async (rows: number) =>
      (
        await cli(['send', file(`batch=thirdPartyId,tier\n${'1,x\n'.repeat(rows)}`), '--from-line', '999999999'], {
          API_TOKEN: 'x',
        })
      ).err
    expect(await send(150_000)).toMatch(/about 1[45]\d{4} rows: .*Bulk Profile Update API/)
    expect(await send(50_000)).toBe('')
  })

  it('a new export under the same name is another file: a value that returns is sent again', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const path = join(folder, 'segments.txt')
    for (const [day, value] of ['gold', 'silver', 'gold'].entries()) {
      writeFileSync(path, `batch=thirdPartyId,tier\n1,${value}\n`)
      utimesSync(path, 1_700_000_000 + day, 1_700_000_000 + day)
      expect(reportOf(await cli(['send', path], envOf(server)))).toMatchObject({ submitted: 1 })
      expect(reportOf(await cli(['send', path], envOf(server)))).toMatchObject({ duplicate: 1 })
    }
    expect(emulator.profiles.values('3p:1')).toEqual({ tier: 'gold' })
  })

  it('what the relay set aside is a failure', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const lost = await startServer(emulator.origin)
    await fetch(`${lost.url}/v1/updates`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ visitor: { thirdPartyId: '0' }, attributes: { tier: 'x' } }),
    })
    await lost.stop()
    rmSync(join(lost.folder, 'relay.sqlite'))
    await using server = await startServer(emulator.origin, { folder: lost.folder })
    const sent = await cli(['send', file('batch=thirdPartyId,tier\n1,x\n')], envOf(server))
    expect([sent.status, reportOf(sent)]).toMatchObject([1, { set_aside: 1 }])
  })

  it('what Target refused is a failure, and an unclosed quote reports where to go on, without the content (G8)', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    // Until Target has accepted an update, its refusal is not a verdict.
    expect((await cli(['send', file('batch=thirdPartyId,tier\n9,x\n')], envOf(server))).status).toBe(0)
    emulator.faults.add({ kind: 'refuse', message: 'no', count: 1 })
    const refused = await cli(['send', file('batch=thirdPartyId,tier\n1,x\n')], envOf(server))
    expect([refused.status, reportOf(refused)['rejected']]).toEqual([1, 1])
    const errors = join(folder, 'csv-errors.ndjson')
    const broken = await cli(
      ['send', file('thirdPartyId,tier\n2,x\ncust-777 "y",a\n3,z\n', 'csv'), '--errors', errors],
      envOf(server),
    )
    expect([broken.status, reportOf(broken)]).toMatchObject([1, { submitted: 2, refused: 1 }])
    const open = await cli(['send', file('thirdPartyId,tier\n4,x\n"cust-777,a\n5,z\n', 'csv')], envOf(server))
    expect([open.status, reportOf(open)]).toMatchObject([1, { submitted: 1, refused: 1, resumeFrom: 3 }])
    expect(open.err + broken.err + readFileSync(errors, 'utf8')).not.toContain('cust-777')
  })

  it('rows of multi-byte characters are batched within the relay’s limit', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const rows = Array.from({ length: 100 }, (_, n) => `${n},${'語'.repeat(4_500)}`)
    const ran = await cli(['send', file(`thirdPartyId,note\n${rows.join('\n')}\n`, 'csv')], envOf(server))
    expect([ran.status, reportOf(ran)]).toMatchObject([0, { submitted: 100 }])
  })

  it('a line with changed content is another event', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const send = (value: string) =>
      cli(['send', file(`batch=thirdPartyId,tier\n1,${value}\n`), '--name', 'same'], envOf(server))
    await send('x')
    expect(reportOf(await send('x'))).toMatchObject({ duplicate: 1 })
    expect(reportOf(await send('y'))).toMatchObject({ submitted: 1 })
    expect(emulator.profiles.values('3p:1')).toEqual({ tier: 'y' })
  })

  it('of several rows of one visitor the last line wins (G3)', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const rows = Array.from({ length: 60 }, (_, n) => `${n % 3},t${n}`)
    const ran = await cli(['send', file(`batch=thirdPartyId,tier\n${rows.join('\n')}\n`)], envOf(server))
    expect(ran.status).toBe(0)
    await server.relay.flush()
    for (const n of [57, 58, 59]) expect(emulator.profiles.values(`3p:${n % 3}`)).toEqual({ tier: `t${n}` })
  })

  it('reports the lines that the relay refused, and sends the rest', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const rows = Array.from({ length: 120 }, (_, n) => ({
      visitor: { thirdPartyId: n % 40 === 7 ? 'a/b' : String(n) },
      attributes: n === 100 ? { 'user.x': '1' } : { tier: 'gold' },
    }))
    const errors = join(folder, 'errors.ndjson')
    const path = file(rows.map((row) => JSON.stringify(row)).join('\n'), 'ndjson')
    const ran = await cli(['send', path, '--errors', errors], envOf(server))
    expect(ran.status).toBe(1)
    expect(reportOf(ran)).toMatchObject({ rows: 120, submitted: 116, refused: 4 })
    expect(ran.err.split('\n').map((line) => line.split(':')[0])).toEqual(['line 8', 'line 48', 'line 88', 'line 101'])
    expect(ran.err).toContain('must not contain + or /')
    expect(readFileSync(errors, 'utf8').trim().split('\n')).toHaveLength(4)
    expect((statSync(errors).mode & 0o777).toString(8)).toBe('600')
  })

  it('what the quota defers counts as sent', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin, { settings: { QUOTA_LIMIT: '50' } })
    const rows = Array.from({ length: 250 }, (_, n) => `${n},x`)
    const ran = await cli(['send', file(`batch=thirdPartyId,tier\n${rows.join('\n')}\n`)], envOf(server))
    const { submitted = 0, deferred = 0 } = reportOf(ran)
    expect([ran.status, submitted + deferred]).toEqual([0, 250])
    expect(emulator.statistics().calls).toBeLessThanOrEqual(50)
  })

  it('waits for a relay that is away, and gives up on one that stays away, saying where to go on', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const port = await startProxy(server.url, (count) => count <= 2)
    const path = file('batch=thirdPartyId,tier\n1,x\n2,x\n')
    const ran = await cli(['send', path], envOf({ url: port.url }))
    expect([ran.status, reportOf(ran)['submitted']]).toEqual([0, 2])
    await port.close()

    const stopping = cli(['send', path, '--from-line', '3'], envOf({ url: 'http://127.0.0.1:9' }))
    await new Promise((resolve) => setTimeout(resolve, 200))
    process.emit('SIGTERM')
    const broken = await stopping
    expect([broken.status, reportOf(broken)]).toEqual([
      1,
      { rows: 1, refused: 0, durationMs: expect.any(Number), resumeFrom: 3 },
    ])
    expect(broken.err).toContain(`target-relay send ${path} --from-line 3`)
  })

  it.each<[string, string[], Record<string, string>, RegExp]>([
    ['no token', [], { API_TOKEN: '' }, /set API_TOKEN/],
    ['another token', [], { API_TOKEN: 'wrong' }, /does not take this API_TOKEN/],
    ['a token sent unencrypted over the network', ['--relay', 'http://relay.example'], {}, /must be https/],
    ['no such format', ['--format', 'xml'], {}, /bulk, csv, ndjson/],
    ['an invalid line', ['--from-line', '0'], {}, /--from-line/],
    ['an invalid time', ['--occurred-at', 'then'], {}, /--occurred-at/],
    ['a file for errors in a missing folder', ['--errors', '/nowhere/at/all'], {}, /cannot be written/],
  ])('rejects %s', async (_, args, env, message) => {
    await using server = await startServer('http://127.0.0.1:9')
    const ran = await cli(['send', file('batch=pcId,a\n1,x\n'), ...args], envOf(server, env))
    expect([ran.status, ran.err]).toEqual([2, expect.stringMatching(message)])
  })
})

describe('status', () => {
  it('shows the state of the relay, in words and as JSON', async () => {
    await using server = await startServer('http://127.0.0.1:9', { settings: { QUOTA_LIMIT: '1000' } })
    await server.relay.operator.pause(true)
    await server.relay.flush()
    const ran = await cli(['status'], envOf(server))
    expect(ran.status).toBe(0)
    expect(ran.out).toMatch(
      /: ready; times are UTC[\s\S]*quota {5}0 of 1,000 calls used \(0\.0 %\)[\s\S]*paused[\s\S]*last run was at \d\d:\d\d, \d s ago[\s\S]*WARN encryption/,
    )
    expect(JSON.parse((await cli(['status', '--json'], envOf(server))).out)).toMatchObject({ quota: { limit: 1_000 } })
  })

  it.each<[string, Record<string, string>, number, RegExp]>([
    ['no relay', { RELAY_URL: 'http://127.0.0.1:9' }, 1, /does not answer/],
    ['another token', { ADMIN_TOKEN: 'wrong' }, 2, /does not take this ADMIN_TOKEN/],
    ['no token', { ADMIN_TOKEN: '' }, 2, /set ADMIN_TOKEN/],
    ['an invalid URL', { RELAY_URL: 'here' }, 2, /is no URL/],
  ])('%s', async (_, env, status, message) => {
    await using server = await startServer('http://127.0.0.1:9')
    expect(await cli(['status'], envOf(server, env))).toMatchObject({ status, err: expect.stringMatching(message) })
  })
})

describe('verify', () => {
  it('shows what Target holds next to what was sent and what is deferred', async () => {
    await using emulator = await startEmulator()
    await using server = await startServer(emulator.origin)
    const deliver = (attributes: object, visitor: object = { thirdPartyId: 'a b' }) =>
      fetch(`${server.url}/v1/updates`, {
        method: 'POST',
        headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ visitor, attributes }),
      })
    const env = envOf(server, { TARGET_ORIGIN: emulator.origin })
    // Target does not know this id, and answers with success all the same.
    await deliver({ tier: 'gold' })
    const unknown = await cli(['verify', 'a b'], env)
    expect([unknown.status, unknown.out]).toEqual([
      1,
      expect.stringMatching(/no such profile[\s\S]*tier +not seen yet/),
    ])

    emulator.profiles.seed('3p:a b', { other: 'x' }, Date.now())
    await deliver({ tier: 'silver', city: 'Bern' })
    const there = await cli(['verify', 'a b'], env)
    expect([there.status, there.out]).toEqual([
      0,
      expect.stringMatching(/city +there +"Bern"[\s\S]*tier +there +"silver"[\s\S]*1 more in Target/),
    ])

    await server.relay.operator.pause(true)
    await deliver({ tier: 'bronze' })
    const waiting = await cli(['verify', 'a b'], env)
    expect([waiting.status, waiting.out]).toEqual([1, expect.stringMatching(/tier +waits +"silver" +20\S+ +1, of 20/)])

    emulator.profiles.seed('pc:1-2.3_4', {}, Date.now())
    const nobody = await cli(['verify', '--pc-id', '1-2.3_4'], env)
    expect([nobody.status, nobody.out]).toEqual([0, 'the relay knows nothing of this visitor'])
  })

  it('denies no visitor of whom there is only a dead letter, and says what Target said', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const deliver = (thirdPartyId: string) =>
      fetch(`${server.url}/v1/updates`, {
        method: 'POST',
        headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({ visitor: { thirdPartyId }, attributes: { tier: 'gold' } }),
      })
    await deliver('first')
    emulator.faults.add({ kind: 'refuse', message: 'not this one' })
    expect(await (await deliver('rejected')).json()).toMatchObject({ status: 'rejected' })
    const { status, out } = await cli(['verify', 'rejected'], envOf(server, { TARGET_ORIGIN: emulator.origin }))
    expect(status).toBe(1)
    expect(out).not.toContain('knows nothing')
    expect(out).toMatch(/dead letter 20\S+ rejected from api: not this one/)
    expect(out).toMatch(/20\S+ rejected from api: tier/)
  })

  it.each<[string, string[], RegExp]>([
    ['no visitor', [], /name one visitor/],
    ['two visitors', ['1', '--pc-id', '1'], /name one visitor/],
    ['an id that Target cannot have', ['a/b'], /422/],
  ])('rejects %s', async (_, args, message) => {
    await using server = await startServer('http://127.0.0.1:9')
    const ran = await cli(['verify', ...args], envOf(server))
    expect([ran.status > 0, ran.err]).toEqual([true, expect.stringMatching(message)])
  })
})

describe('flush', () => {
  it('runs once beside a server, reports as JSON, and its exit code says whether it could work', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    await server.relay.operator.pause(true)
    await cli(['send', file('batch=thirdPartyId,tier\n1,x\n2,y\n')], envOf(server))
    await server.relay.operator.pause(false)
    const ran = await cli(['flush'], server.env)
    expect([ran.status, JSON.parse(ran.out)]).toEqual([0, expect.objectContaining({ replayed: 2, stopped: 'drained' })])
    expect(emulator.profiles.values('3p:2')).toEqual({ tier: 'y' })

    await cli(['send', file('batch=thirdPartyId,tier\n3,x\n')], envOf(server))
    emulator.faults.add({ kind: 'status', status: 403 })
    await server.relay.operator.pause(true)
    await cli(['send', file('batch=thirdPartyId,tier\n4,x\n5,x\n6,x\n')], envOf(server))
    await server.relay.operator.pause(false)
    const kept = await cli(['flush'], server.env)
    expect([kept.status, JSON.parse(kept.out)]).toEqual([1, expect.objectContaining({ stopped: 'target_unavailable' })])
  })

  it('invalid settings are exit 2, one on each line, without secrets', async () => {
    const ran = await cli(['flush'], { HASH_KEY: 'too-short', QUOTA_LIMIT: 'x' })
    expect(ran.status).toBe(2)
    expect(ran.err).toMatch(/TARGET_CLIENT_CODE is required[\s\S]*QUOTA_LIMIT must be[\s\S]*HASH_KEY must have/)
    expect(ran.err).not.toContain('too-short')
  })
})

describe('ledger', () => {
  it('moves from the embedded one to Upstash: spent quota stays spent, order is kept, and what was done is a duplicate', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using upstash = await startUpstashStandIn()
    const occurredAt = Date.now() - 1_000
    const settings = { QUOTA_LIMIT: '10' }
    const server = await startServer(emulator.origin, { settings })
    await cli(
      [
        'send',
        file(
          `{"id":"e1","visitor":{"thirdPartyId":"1"},"attributes":{"tier":"new"},"occurredAt":${occurredAt}}\n`,
          'ndjson',
        ),
      ],
      envOf(server),
    )
    await cli(
      ['send', file(`batch=thirdPartyId,tier\n${Array.from({ length: 5 }, (_, n) => `${n + 2},x`).join('\n')}\n`)],
      envOf(server),
    )
    const exported = join(folder, 'ledger.ndjson')
    const out = await cli(['ledger', 'export', exported, '--wait-ms', '1'], envOf(server))
    expect([out.status, out.err]).toEqual([0, expect.stringMatching(/6 units, 6 visitors, 6 events; .* stays paused/)])
    expect(readFileSync(exported, 'utf8')).not.toMatch(/thirdPartyId|"new"/)
    // Once exported, the old ledger grants nothing.
    expect((await server.relay.operator.usage()).health.paused).toBe(true)
    // A second export must not overwrite the first.
    expect((await cli(['ledger', 'export', exported, '--wait-ms', '1'], envOf(server))).status).toBe(2)
    await server.stop()

    const redis = { UPSTASH_REDIS_REST_URL: upstash.url, UPSTASH_REDIS_REST_TOKEN: upstash.token, ...settings }
    const other = await cli(['ledger', 'import', exported], {
      ...redis,
      HASH_KEY: 'another-key-of-32-bytes-or-more-of-them',
    })
    expect([other.status, other.err]).toEqual([2, expect.stringContaining('HASH_KEY is not the one')])
    // An import may be repeated.
    for (let times = 0; times < 2; times++) {
      const taken = await cli(['ledger', 'import', exported], { ...redis, HASH_KEY: testSecrets.hashKey })
      expect([taken.status, taken.err]).toEqual([
        0,
        expect.stringMatching(/6 units, 6 visitors, 6 events taken into Upstash/),
      ])
    }
    const cut = file(readFileSync(exported, 'utf8').split('\n').slice(0, -2).join('\n'))
    expect(await cli(['ledger', 'import', cut], { ...redis, HASH_KEY: testSecrets.hashKey })).toMatchObject({
      status: 2,
      err: expect.stringContaining('not whole'),
    })

    await using moved = await startServer(emulator.origin, { folder: server.folder, settings: redis })
    const send = async (update: object) =>
      reportOf(await cli(['send', file(JSON.stringify(update), 'ndjson')], envOf(moved)))
    expect((await moved.relay.operator.usage()).used).toBe(6)
    const e1 = { id: 'e1', visitor: { thirdPartyId: '1' }, attributes: { tier: 'new' } }
    expect(await send({ ...e1, occurredAt })).toMatchObject({ duplicate: 1 })
    expect(await send({ ...e1, attributes: { tier: 'again' } })).toMatchObject({ refused: 1 })
    expect(
      await send({
        id: 'e0',
        visitor: { thirdPartyId: '1' },
        attributes: { tier: 'old' },
        occurredAt: Date.now() - 60_000,
      }),
    ).toMatchObject({ superseded: 1 })
    for (let n = 0; n < 6; n++)
      await send({ id: `n${n}`, visitor: { thirdPartyId: `new-${n}` }, attributes: { tier: 'x' } })
    // Six before and three here: up to the share of live traffic.
    expect(emulator.statistics().calls).toBe(9)
    expect(emulator.profiles.values('3p:1')).toEqual({ tier: 'new' })
    expect(moved.logged.filter(({ event }) => event.startsWith('ledger_'))).toEqual([])
  })

  it('moves from one Upstash to another, and deferred updates are delivered; a wrong URL for a while changes nothing', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    // Each has its own server, even if `REDIS_URL` names one.
    const ownRedis = () => startUpstashStandIn({ durableIn: mkdtempSync(join(folder, 'redis-')) })
    await using from = await ownRedis()
    await using to = await ownRedis()
    await using wrong = await ownRedis()
    const on = ({ url, token }: UpstashStandIn) => ({ UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token })
    const first = await startServer(emulator.origin, { settings: on(from) })
    const { folder: kept } = first
    await cli(['send', file('batch=thirdPartyId,tier\n1,x\n2,x\n')], envOf(first))
    await first.relay.flush()
    const exported = join(folder, 'ledger-upstash.ndjson')
    expect(await cli(['ledger', 'export', exported, '--wait-ms', '1'], envOf(first))).toMatchObject({ status: 0 })
    await cli(['send', file('batch=thirdPartyId,tier\n3,x\n')], envOf(first))
    await first.stop()
    expect(await cli(['ledger', 'import', exported], { ...on(to), HASH_KEY: testSecrets.hashKey })).toMatchObject({
      status: 0,
    })

    const second = await startServer(emulator.origin, { folder: kept, settings: on(to) })
    expect(await second.relay.flush()).toMatchObject({ replayed: 1, dead: 0 })
    await second.relay.operator.pause(true)
    await cli(['send', file('batch=thirdPartyId,tier\n4,x\n')], envOf(second))
    await second.relay.operator.pause(false)
    expect((await second.relay.operator.usage()).used).toBe(3)
    await second.stop()
    expect(second.logged.filter(({ event }) => event.startsWith('ledger_'))).toEqual([])

    const mistaken = await startServer(emulator.origin, { folder: kept, settings: on(wrong) })
    await cli(['send', file('batch=thirdPartyId,tier\n5,x\n')], envOf(mistaken))
    await mistaken.stop()

    await using third = await startServer(emulator.origin, { folder: kept, settings: on(to) })
    expect(await third.relay.flush()).toMatchObject({ replayed: 1, dead: 0 })
    await cli(['send', file('batch=thirdPartyId,tier\n6,x\n')], envOf(third))
    expect(await third.relay.operator.usage()).toMatchObject({ used: 5 })
    expect((await third.relay.operator.usage()).lostAtMs).toBeUndefined()
    expect(third.logged.filter(({ event }) => event.startsWith('ledger_'))).toMatchObject([
      { event: 'ledger_returned', elsewhere: 0 },
    ])

    const home = join(folder, 'ledger-home.ndjson')
    expect(await cli(['ledger', 'export', home, '--wait-ms', '1'], envOf(third))).toMatchObject({ status: 0 })
    await third.stop()
    const database = { RELAY_DB: join(kept, 'relay.sqlite'), HASH_KEY: testSecrets.hashKey }
    expect(await cli(['ledger', 'import', home], database)).toMatchObject({ status: 0 })
    await using embedded = await startServer(emulator.origin, { folder: kept })
    await cli(['send', file('batch=thirdPartyId,tier\n7,x\n')], envOf(embedded))
    expect(await embedded.relay.operator.usage()).toMatchObject({ used: 6 })
    expect(embedded.logged.filter(({ event }) => event.startsWith('ledger_'))).toEqual([])
  })

  it('moves back, through a relay', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using one = await startServer(emulator.origin)
    await using other = await startServer(emulator.origin)
    await cli(['send', file('batch=thirdPartyId,tier\n1,x\n2,x\n')], envOf(one))
    const exported = join(folder, 'ledger-back.ndjson')
    await cli(['ledger', 'export', exported, '--wait-ms', '1'], envOf(one))
    expect(await cli(['ledger', 'import', exported, '--relay', other.url], envOf(other))).toMatchObject({ status: 0 })
    expect((await other.relay.operator.usage()).used).toBe(2)
  })

  it.each<[string, string[], RegExp]>([
    ['an unknown subcommand', ['ledger', 'move', 'x'], /none of export, import and restored/],
    ['no file', ['ledger', 'import'], /name export or import/],
    ['a restore from a file', ['ledger', 'restored', 'x'], /none of export, import and restored/],
    ['a missing file', ['ledger', 'import', join(folder, 'nowhere')], /there is no file/],
    ['another kind of file', ['ledger', 'import', file('batch=pcId,a\n1,x\n')], /no JSON|no export/],
    ['an empty file', ['ledger', 'import', file('')], /no export/],
    ['an invalid wait', ['ledger', 'export', join(folder, 'x'), '--wait-ms', 'abc'], /--wait-ms/],
  ])('rejects %s', async (_, args, message) => {
    const ran = await cli(args, { RELAY_DB: join(folder, `unused-${++serial}.sqlite`) })
    expect([ran.status, ran.err]).toEqual([2, expect.stringMatching(message)])
  })
})

/** Forwards requests to `url`, except for those that are cut. */
async function startProxy(
  url: string,
  cut: (count: number) => boolean,
): Promise<{ url: string; close(): Promise<void> }> {
  let count = 0
  const server = createServer(async (request, response) => {
    const parts: Uint8Array[] = []
    for await (const part of request) parts.push(part as Uint8Array)
    if (cut(++count)) return void request.socket.destroy()
    const answer = await fetch(`${url}${request.url}`, {
      method: 'POST',
      headers: { authorization: request.headers.authorization ?? '', 'content-type': 'application/json' },
      body: Buffer.concat(parts),
    })
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
