import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cli } from '../support/cli.ts'
import { testSecrets } from '../support/secrets.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-cli-'))
const file = (name: string, content: string) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const bad = 'test/cli/fixtures/bad-sources.ts'
const recent = new Date().toISOString()

describe('map', () => {
  it('shows the exact calls for an event, with their size and cost', async () => {
    const event = file(
      'event.json',
      JSON.stringify({ loan: 'l1', customer: 'a b', status: 'funded', amount: 2.5, at: recent }),
    )
    const { status, out, err } = await cli(['map', 'loan', event], { TARGET_CLIENT_CODE: 'acme', TARGET_METHOD: 'get' })
    expect([status, err]).toEqual([0, ''])
    const url =
      'https://acme.tt.omtrdc.net/m2/acme/profile/update?mbox3rdPartyId=a%20b&profile.loanStatus=funded&profile.loanAmount=2.5'
    expect(out).toContain(`GET ${url}`)
    expect(out).toContain(`${url.length} bytes of URL, 2 units`)
    expect(out).toContain('1 update, 1 call, 2 units of quota')
  })

  it('shows the sample if no file is named, and JSON for programs', async () => {
    const { status, out } = await cli(['map', 'loyalty', '--json'])
    expect(status).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      source: 'loyalty',
      units: 1,
      updates: [{ visitor: { thirdPartyId: '123456' } }],
    })
  })

  it('reads UTF-16 by its byte order mark, and other encodings by --encoding', async () => {
    const event = `{"loan":9007199254740993,"customer":"Zürich","status":"funded","amount":1,"at":"${recent}"}`
    const path = join(folder, 'event.txt')
    for (const [bytes, more] of [
      [Buffer.from(`\uFEFF${event}`, 'utf16le'), []],
      [Buffer.from(event, 'latin1'), ['--encoding', 'windows-1252']],
    ] as const) {
      writeFileSync(path, bytes)
      const { status, out } = await cli(['map', 'loan', path, '--json', ...more])
      expect([status, JSON.parse(out)]).toEqual([
        0,
        expect.objectContaining({
          updates: [expect.objectContaining({ id: '9007199254740993-funded', visitor: { thirdPartyId: 'Zürich' } })],
        }),
      ])
    }
  })

  it('takes a body apart where its source does, with the headers of its sample', async () => {
    const sources = ['--sources', 'test/cli/fixtures/each-sources.ts', '--json']
    const both = file('both.json', '{"records":[{"customer":"c-1"},{"customer":"c-2"}]}')
    const { status, out } = await cli(['map', 'many', both, ...sources])
    expect([status, JSON.parse(out)]).toEqual([
      0,
      expect.objectContaining({
        updates: ['c-1', 'c-2'].map((thirdPartyId) => expect.objectContaining({ visitor: { thirdPartyId } })),
      }),
    ])
    expect(JSON.parse(out).updates[0].attributes).toEqual([{ name: 'topic', value: 'orders/create' }])
    const other = file('other.json', '{"rows":[]}')
    expect(await cli(['map', 'many', other, ...sources])).toMatchObject({
      status: 1,
      err: 'unmappable: each threw ZodError',
    })
    const oneBad = file('one-bad.json', '{"records":[{"customer":"c-1"},{}]}')
    expect((await cli(['map', 'many', oneBad, ...sources])).err).toContain('event 2 of 2')
  })

  it('says that an expired event would not be sent', async () => {
    const event = file('old.json', JSON.stringify({ session: 's', pcId: '1-2', page: '/', at: '2020-01-01T00:00:00Z' }))
    expect(await cli(['map', 'kiosk', event])).toMatchObject({
      status: 0,
      err: expect.stringContaining('RETENTION_HOURS'),
    })
  })

  it.each<[string, string[], number, RegExp]>([
    [
      'an event that does not fit',
      ['map', 'loan', file('bad.json', '{"loan":1}')],
      1,
      /unmappable: customer: must be an id/,
    ],
    [
      'a repeated name',
      ['map', 'loan', file('twice.json', '{"loan":1,"loan":2}')],
      1,
      /twice\.json: the body gives one name twice/,
    ],
    [
      'bytes that are not UTF-8',
      ['map', 'loan', 'test/cases/02-ansi.ndjson'],
      2,
      /02-ansi\.ndjson, line 1: is not UTF-8.*--encoding/,
    ],
    ['an unknown encoding', ['map', 'loan', '--encoding', 'ansi'], 2, /--encoding is none that is known/],
    ['a file that is not JSON', ['map', 'loan', file('no.json', '{')], 1, /is not JSON/],
    ['a mapping that throws, with the place', ['map', 'throws', '--sources', bad], 1, /a mistake\n\s+at /],
    ['no such file', ['map', 'loan', join(folder, 'nowhere.json')], 2, /cannot be read/],
    ['no such source', ['map', 'nobody'], 2, /there are call-centre, loan/],
    ['no source', ['map'], 2, /name one source/],
    ['no sample', ['map', 'no-sample', '--sources', bad], 2, /no sample/],
    ['no such option', ['map', 'loan', '--bogus'], 2, /bogus/],
    ['no such sources', ['map', 'loan', '--sources', 'nowhere.ts'], 2, /there is no file/],
    ['a file without sources', ['map', 'loan', '--sources', 'src/relay/runtime.ts'], 2, /exports no sources/],
    [
      'a file that cannot be loaded',
      ['map', 'loan', '--sources', file('broken.mjs', 'export const sources = [')],
      2,
      /cannot be loaded/,
    ],
  ])('%s', async (_, args, status, message) => {
    const ran = await cli(args)
    expect(ran.status).toBe(status)
    expect(ran.err).toMatch(message)
  })
})

describe('lint', () => {
  it('finds nothing wrong with the example sources', async () => {
    const { status, out } = await cli(['lint'])
    expect([status, out.split('\n').length]).toEqual([0, 4])
    expect(out).not.toMatch(/error|warning/)
  })

  it('finds the fault of each bad source', async () => {
    const { status, out } = await cli(['lint', '--sources', bad])
    expect(status).toBe(1)
    const found = (name: string) => {
      const lines = out.split('\n')
      const start = lines.findIndex((line) => line.startsWith(`source ${name}:`))
      const rest = lines.slice(start + 1)
      return rest.slice(0, rest.findIndex((line) => line.startsWith('source ')) >>> 0)
    }
    expect(out).toMatch(/error: source fine: two sources have this name/)
    expect(out).toMatch(/error: source too-late: its delay/)
    expect(found('no-sample')).toEqual([expect.stringMatching(/warning: .*no sample/)])
    expect(found('anything')).toEqual([expect.stringMatching(/error: .*takes anything/)])
    expect(found('illegal-name')).toEqual([expect.stringMatching(/error: attributes\.user\.name .*reserves/)])
    expect(found('not-named')).toEqual([expect.stringMatching(/error: .*attributes\.tier is not one/)])
    expect(found('throws')).toEqual([
      expect.stringMatching(/threw a mistake/),
      expect.stringMatching(/can't be mapped/),
    ])
    expect(found('no-id')).toEqual([expect.stringMatching(/error: .*github takes a copied request for ever/)])
    expect(out).toMatch(/error: source no-time: github sees no time/)
    expect(found('no-time')).toEqual([expect.stringMatching(/error: .*occurredAt is missing/)])
    expect(found('scheme-id')).toEqual([])
    expect(found('gives-nothing')).toEqual([expect.stringMatching(/warning: .*no update/)])
  })

  it('checks secrets if they are set, or with --secrets', async () => {
    expect((await cli(['lint', '--secrets'])).status).toBe(1)
    expect((await cli(['lint'], { HOOK_SECRET_LOAN: 'no base64!' })).out).toMatch(
      /HOOK_SECRET_LOAN holds a secret that is none for standard-webhooks/,
    )
    const secrets = Object.fromEntries(
      ['CALL_CENTRE', 'LOAN', 'LOYALTY', 'KIOSK'].map((name) => [
        `HOOK_SECRET_${name}`,
        testSecrets.hook(name.toLowerCase()),
      ]),
    )
    expect((await cli(['lint', '--secrets'], secrets)).status).toBe(0)
  })
})

describe('help', () => {
  it.each(['map', 'lint'])('%s --help', async (command) => {
    expect(await cli([command, '--help'])).toMatchObject({
      status: 0,
      out: expect.stringContaining(`target-relay ${command}`),
    })
  })
  it('of all commands, and for an unknown command', async () => {
    expect(await cli([])).toMatchObject({ status: 0, out: expect.stringContaining('map') })
    expect(await cli(['fly'])).toMatchObject({ status: 2, err: expect.stringContaining('unknown command fly') })
  })
})
