/** What `send` does with unusable files and unexpected answers. */
import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { linesOf } from '../../src/cli/files.ts'
import { cli } from '../support/cli.ts'
import { startFakeRelay } from '../support/fake-relay.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-send-'))
let serial = 0
const pathOf = (end = 'txt') => join(folder, `file-${++serial}.${end}`)
const file = (content: string, end?: string) => {
  const path = pathOf(end)
  writeFileSync(path, content)
  return path
}
const text = (path: string) => readFileSync(path, 'utf8')
const two = 'batch=thirdPartyId,tier\n1,x\n2,x\n'
/** Accepts everything except what holds `bad`. */
const startRelay = (status = 'submitted') =>
  startFakeRelay((_, body) => {
    const { updates } = JSON.parse(body) as { updates: unknown[] }
    const errors = updates.flatMap((update, index) =>
      JSON.stringify(update).includes('bad') ? [{ path: `updates[${index}].attributes`, message: 'is bad' }] : [],
    )
    return errors.length > 0
      ? { status: 422, body: { errors } }
      : { body: { results: updates.map(() => ({ status })) } }
  })
const envOf = ({ url }: { url: string }) => ({ RELAY_URL: url, API_TOKEN: 'made-up' })
const nowhere = { RELAY_URL: 'http://127.0.0.1:1', API_TOKEN: 'made-up' }

describe('the file of refused rows', () => {
  it.each<[string, (input: string) => string]>([
    ['by its own name', (input) => input],
    ['by another path', (input) => join(folder, '..', folder.split('/').at(-1) ?? '', input.split('/').at(-1) ?? '')],
    [
      'by a symbolic link',
      (input) => {
        symlinkSync(input, `${input}.link`)
        return `${input}.link`
      },
    ],
    [
      'by a hard link',
      (input) => {
        linkSync(input, `${input}.hard`)
        return `${input}.hard`
      },
    ],
  ])('must not be the file that is sent: %s', async (_, name) => {
    const input = file(two)
    const ran = await cli(['send', input, '--errors', name(input)], nowhere)
    expect([ran.status, ran.err, text(input)]).toEqual([2, expect.stringContaining('the very file that is sent'), two])
  })

  it.each([
    ['text', 'precious\n'],
    ['JSON of another kind', '{"line":"one"}\n'],
    ['bytes', 'SQLite format 3\u0000'],
  ])('must not hold anything else: %s', async (_, precious) => {
    for (const more of [[], ['--from-line', '2']]) {
      const errors = file(precious)
      const ran = await cli(['send', file(two), '--errors', errors, ...more], nowhere)
      expect([ran.status, ran.err, text(errors)]).toEqual([
        2,
        expect.stringContaining('something else than refused rows'),
        precious,
      ])
    }
  })

  it('keeps the refused rows of an interrupted run; a run from the start overwrites it', async () => {
    using relay = await startRelay()
    const errors = pathOf()
    const broken = file('thirdPartyId,tier\n1,bad\n2,x\n3,"x\n', 'csv')
    const first = await cli(['send', broken, '--errors', errors], envOf(relay))
    const [, again = ''] = /Go on with: target-relay (.*)$/m.exec(first.err) ?? []
    expect([first.status, again]).toEqual([1, `send ${broken} --errors ${errors} --from-line 4`])
    const lines = () =>
      text(errors)
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { line: number }).line)
    expect(lines().sort()).toEqual([2, 4])
    // As if killed in the middle of a line.
    writeFileSync(errors, `${text(errors)}{"line":9`)
    writeFileSync(broken, text(broken).replace('"x', 'bad'))
    await cli(again.split(' '), envOf(relay))
    expect(text(errors).split('\n')).toHaveLength(5)
    expect(text(errors)).toMatch(/^\{"line":[24],[^\n]*\n\{"line":[24],[^\n]*\n\{"line":9\n\{"line":4,/)
    await cli(['send', broken, '--errors', errors], envOf(relay))
    expect(lines().sort()).toEqual([2, 4])
  })

  it.runIf(existsSync('/dev/full'))('that cannot be written ends the run, which says where to go on', async () => {
    using relay = await startRelay()
    for (const content of [
      'batch=thirdPartyId,tier\n1,x\n2,bad\n3,x\n',
      'batch=thirdPartyId,tier\n1,x\n2,%zz\n3,x\n',
    ]) {
      const ran = await cli(['send', file(content), '--errors', '/dev/full'], envOf(relay))
      expect([ran.status, ran.err]).toEqual([
        1,
        expect.stringMatching(/\/dev\/full cannot be written \(ENOSPC[\s\S]*--from-line [23]/),
      ])
      expect(ran.err).not.toMatch(/^\s+at /m)
    }
  })
})

describe('a file that cannot be sent', () => {
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])

  it.each<[string, string, RegExp]>([
    ['a pipe', pipe, /no file but a pipe/],
    ['a device', '/dev/null', /no file but a pipe or a device/],
    ['a directory', folder, /is a directory/],
    ['a missing file', join(folder, 'nowhere'), /there is no file/],
    ['a path below a file', join(file(two), 'x'), /there is no file/],
  ])('%s is reported in one line', async (_, path, message) => {
    for (const more of [[], ['--format', 'csv']]) {
      const ran = await cli(['send', path, ...more], nowhere)
      expect([ran.status, ran.err]).toEqual([2, expect.stringMatching(message)])
      expect(ran.err.split('\n')).toHaveLength(1)
    }
  })

  it.runIf(existsSync('/proc/self/mem'))('a read error in the middle says where to go on', async () => {
    for (const format of ['bulk', 'csv', 'ndjson']) {
      const ran = await cli(['send', '/proc/self/mem', '--format', format], nowhere)
      expect([ran.status, ran.err.split('\n')]).toEqual([
        1,
        [expect.stringMatching(/^\/proc\/self\/mem: EIO/), expect.stringContaining('--from-line 1')],
      ])
    }
  })
})

describe('lines', () => {
  const of = async (content: string, end?: RegExp) => {
    const lines: string[] = []
    for await (const line of linesOf(file(content), undefined, end)) lines.push(line)
    return lines
  }
  it('end only at a line feed, and a byte order mark does not belong to the first', async () => {
    expect(await of('\uFEFFa\u2028\u2029\u0085b\r\nc\rd\n\ne')).toEqual(['a\u2028\u2029\u0085b', 'c\rd', '', 'e'])
    expect(await of('')).toEqual([])
    expect(await of('a\r')).toEqual(['a\r'])
    // A line end that is split between two chunks.
    const long = 'x'.repeat(1_048_575)
    for (const end of [undefined, /\r\n|\n|\r/]) expect(await of(`${long}\r\ny\n`, end)).toEqual([long, 'y'])
  })

  it('a Unicode line separator does not split a value', async () => {
    using relay = await startRelay()
    const update = { visitor: { thirdPartyId: '1' }, attributes: { note: 'a\u2028b' } }
    expect((await cli(['send', file(JSON.stringify(update), 'ndjson')], envOf(relay))).status).toBe(0)
    expect(JSON.parse(relay.requests[0]?.body ?? '')).toMatchObject({ updates: [update] })
  })
})

describe('ids that do not identify events', () => {
  const rows = (of: (n: number) => string) =>
    `thirdPartyId,id,tier\n${Array.from({ length: 150 }, (_, n) => `${n},${of(n)},x`).join('\n')}\n`

  it('visitors’ ids as event ids give one warning', async () => {
    using relay = await startRelay()
    const ran = await cli(['send', file(rows(String), 'csv')], envOf(relay))
    expect([ran.status, ran.err.match(/warning: the ids of this file are those of its visitors/g)]).toEqual([
      0,
      [expect.any(String)],
    ])
    expect(ran.err).toContain('Leave the id out')
    const few = await cli(
      ['send', file('{"id":"7","visitor":{"pcId":"7"},"attributes":{"a":"x"}}\n', 'ndjson')],
      envOf(relay),
    )
    expect(few.err).toContain('those of its visitors')
  })

  it('a file of only duplicates by its own ids gives a warning; a file that was sent before does not', async () => {
    using relay = await startRelay('duplicate')
    const own = await cli(
      [
        'send',
        file(
          rows((n) => `e${n}`),
          'csv',
        ),
      ],
      envOf(relay),
    )
    expect([own.status, own.err]).toEqual([
      0,
      expect.stringContaining('150 of 150 rows are duplicates by their own ids'),
    ])
    expect((await cli(['send', file(two)], envOf(relay))).err).toBe('')
  })

  it('ids of events give no warning', async () => {
    using relay = await startRelay()
    expect(
      (
        await cli(
          [
            'send',
            file(
              rows((n) => (n < 100 ? `e${n}` : String(n))),
              'csv',
            ),
          ],
          envOf(relay),
        )
      ).err,
    ).toBe('')
  })
})

describe('a relay that', () => {
  it('sends a Retry-After of years gets one request, and the run says where to go on', async () => {
    using relay = await startFakeRelay(() => ({ status: 503, headers: { 'retry-after': '99999999' } }))
    const path = file(two)
    const ran = await cli(['send', path], envOf(relay))
    expect([ran.status, relay.requests.length]).toEqual([1, 1])
    expect(ran.err).toMatch(/left alone for 1666667 minutes[\s\S]*--from-line 2$/)
  })

  it.each([
    ['answers an HTML page', { body: '<html>' }],
    ['redirects', { status: 301, headers: { location: 'https://elsewhere.example/' } }],
    ['answers nothing', { status: 204 }],
    ['answers null', { body: 'null' }],
  ])('%s is reported in one line, with where to go on', async (_, answer) => {
    using relay = await startFakeRelay(() => answer)
    const ran = await cli(['send', file(two)], envOf(relay))
    expect([ran.status, ran.err.split('\n')]).toEqual([
      1,
      [expect.stringMatching(/relay/), expect.stringContaining('--from-line 2')],
    ])
  })

  it('does not answer is reported with the reason, and no token is repeated (G8)', async () => {
    const admin = await cli(['status'], { RELAY_URL: 'http://127.0.0.1:9', ADMIN_TOKEN: 'x' })
    expect([admin.status, admin.err]).toEqual([1, expect.stringMatching(/does not answer \(.+\)$/)])
    const ran = await cli(['send', file(two)], { ...nowhere, API_TOKEN: 'canary\nsecret' })
    expect([ran.status, ran.err]).toEqual([2, expect.stringMatching(/^send: API_TOKEN holds [^\n]*$/)])
    expect(ran.err).not.toMatch(/canary|secret/)
  })
})
