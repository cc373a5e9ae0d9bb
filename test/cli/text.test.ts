/** Real-world files: how `send` reads the encodings, separators and blank cells of spreadsheets. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { textOf } from '../../src/cli/text.ts'
import { cli } from '../support/cli.ts'
import { startFakeRelay } from '../support/fake-relay.ts'
import { jsonNumber } from '../support/json-number.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-text-'))
let serial = 0
const file = (content: string | Uint8Array, end = 'csv') => {
  const path = join(folder, `file-${++serial}.${end}`)
  writeFileSync(path, content)
  return path
}

/** The outcome of the run, and what the relay was sent: visitor and attributes of each row. */
async function sent(path: string, ...more: string[]) {
  using relay = await startFakeRelay((_, body) => {
    const { updates } = JSON.parse(body) as { updates: unknown[] }
    return { body: { results: updates.map(() => ({ status: 'submitted' })) } }
  })
  const ran = await cli(['send', path, ...more], { RELAY_URL: relay.url, API_TOKEN: 'made-up' })
  const bodies = relay.requests.map(({ body }) => body)
  const rows = bodies.flatMap((body) =>
    (JSON.parse(body) as { updates: { visitor: object; attributes: object }[] }).updates.map(
      ({ visitor, attributes }) => ({
        ...visitor,
        ...attributes,
      }),
    ),
  )
  return { ...ran, rows, body: bodies.join('\n') }
}
const of = (name: string, ...more: string[]) => sent(`test/cases/${name}`, ...more)

describe('a file in another encoding', () => {
  it.each([
    ['02-ansi-ids-collide.csv', 2],
    ['02-excel-ansi.csv', 2],
    ['02-bulk-ansi.csv', 2],
    ['02-ansi.ndjson', 1],
  ])('%s is rejected before anything is sent, with the line and what to do', async (name, line) => {
    const { status, err, rows } = await of(name)
    expect([status, err, rows]).toEqual([2, expect.stringContaining(`${name}, line ${line}: is not UTF-8. Save`), []])
    expect(err).toContain('--encoding windows-1252')
    expect(err.split('\n')).toHaveLength(1)
  })

  it('is rejected as a whole, wherever the first bad byte is', async () => {
    const rows = Array.from({ length: 1_000 }, (_, n) => `${n},${'x'.repeat(4_000)}\n`).join('')
    const {
      status,
      err,
      rows: none,
    } = await sent(file(Buffer.from(`batch=thirdPartyId,city\n${rows}1000,Z\u00fcrich\n`, 'latin1')))
    expect([status, err, none]).toEqual([2, expect.stringContaining('line 1002: is not UTF-8'), []])
  })

  it('is read with --encoding: two customers stay two', async () => {
    expect((await of('02-ansi-ids-collide.csv', '--encoding', 'windows-1252')).rows).toEqual([
      { thirdPartyId: 'Müller', plan: 'a' },
      { thirdPartyId: 'Möller', plan: 'b' },
    ])
    expect((await of('02-excel-ansi.csv', '--encoding', 'cp1252')).rows).toEqual([
      { thirdPartyId: 'x1', city: 'München' },
      { thirdPartyId: 'x2', city: 'Zürich' },
    ])
    expect((await of('02-ansi.ndjson', '--encoding', 'latin1')).rows).toEqual([{ thirdPartyId: 'y1', city: 'München' }])
    expect(await of('02-bulk-ansi.csv', '--encoding', 'windows-1252')).toMatchObject({
      status: 0,
      rows: [{ city: 'München' }],
    })
  })

  it('that does not exist is reported', async () => {
    expect(await of('15-excel-sep.csv', '--encoding', 'ansi')).toMatchObject({
      status: 2,
      err: expect.stringContaining('--encoding is none'),
    })
  })

  const rows = 'thirdPartyId,city\r\nü1,Zürich\r\nü2,"a\r\nb 😀"\r\n'
  const expected = [
    { thirdPartyId: 'ü1', city: 'Zürich' },
    { thirdPartyId: 'ü2', city: 'a\r\nb 😀' },
  ]
  const utf16 = (text: string) => Buffer.from(text, 'utf16le')
  it.each<[string, Uint8Array, string[]]>([
    ['UTF-8', Buffer.from(rows), []],
    ['UTF-8 with a byte order mark', Buffer.from(`\uFEFF${rows}`), []],
    ['UTF-16LE with a byte order mark', utf16(`\uFEFF${rows}`), []],
    ['UTF-16BE with a byte order mark', utf16(`\uFEFF${rows}`).swap16(), []],
    ['UTF-16LE without a byte order mark', utf16(rows), ['--encoding', 'utf-16le']],
    [
      'UTF-8 with a byte order mark, which takes precedence over --encoding',
      Buffer.from(`\uFEFF${rows}`),
      ['--encoding', 'windows-1252'],
    ],
  ])('%s is read', async (_, bytes, more) => {
    expect((await sent(file(bytes), ...more)).rows).toEqual(expected)
  })

  it.each<[string, Uint8Array, RegExp]>([
    [
      'UTF-16 without a byte order mark',
      utf16('thirdPartyId,city\r\n1,x\r\n'),
      /line 1: holds NUL.*--encoding utf-16le/,
    ],
    [
      'half a character at the end',
      Buffer.concat([Buffer.from('thirdPartyId,city\n1,x\n2,'), Uint8Array.of(0xc3)]),
      /line 3: is not UTF-8/,
    ],
    ['half a surrogate pair', utf16('\uFEFFthirdPartyId,city\n1,\ud800\n'), /line 2: is not UTF-16LE/],
    ['an odd number of bytes', utf16('\uFEFFthirdPartyId,city\n1,x\n2,x').subarray(0, -1), /line 3: is not UTF-16LE/],
    [
      'bad bytes after CR line ends',
      Buffer.concat([Buffer.from('thirdPartyId,city\r1,x\r2,'), Uint8Array.of(0xff)]),
      /line 3: is not UTF-8/,
    ],
    ['a line without end', Buffer.alloc(9_000_000, 'x'), /line 1: is longer than 8388608 bytes/],
  ])('%s is rejected', async (_, bytes, message) => {
    const { status, err, rows: none } = await sent(file(bytes))
    expect([status, err, none]).toEqual([2, expect.stringMatching(message), []])
  })

  it('any text in any encoding is read as it was written, and any bytes are read exactly or rejected (property)', async () => {
    const text = async (bytes: Uint8Array, encoding?: string) => {
      let all = ''
      for await (const piece of textOf(file(bytes), encoding)) all += piece
      return all
    }
    const character = fc.oneof(
      fc.constantFrom('\n', '\r', '\r\n', '\u2028', '\uFEFF', 'ü', '€', '😀', ';'),
      fc.string({ unit: 'binary', minLength: 1 }),
    )
    const anyText = fc.array(character, { minLength: 1 }).map((parts) =>
      parts
        .join('')
        .replaceAll('\0', '')
        .toWellFormed()
        .replace(/^\uFEFF+/, ''),
    )
    await fc.assert(
      fc.asyncProperty(anyText, async (written) => {
        expect(await text(Buffer.from(`\uFEFF${written}`))).toBe(written)
        expect(await text(Buffer.from(`\uFEFF${written}`, 'utf16le'))).toBe(written)
        expect(await text(Buffer.from(`\uFEFF${written}`, 'utf16le').swap16())).toBe(written)
        expect(await text(Buffer.from(written))).toBe(written)
        expect(await text(Buffer.from(written, 'utf16le'), 'utf-16le')).toBe(written)
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1 }), async (bytes) => {
        const read = await text(bytes).catch(() => undefined)
        if (read !== undefined && bytes[0] !== 0xef && bytes[0] !== 0xfe && bytes[0] !== 0xff)
          expect(Buffer.from(read)).toEqual(Buffer.from(bytes))
      }),
    )
  })
})

describe('NDJSON', () => {
  it('numbers are sent digit by digit as they were written', async () => {
    const { status, body } = await of('01-bigint.ndjson')
    expect([status, body]).toEqual([0, expect.stringContaining('"attributes":{"acct":9007199254740993}')])
  })

  it('so is any number (property)', async () => {
    await fc.assert(
      fc.asyncProperty(jsonNumber, async (number) => {
        const row = `{"visitor":{"pcId":"1"},"attributes":{"n":${number},"l":[${number}]},"occurredAt":1795607432000}`
        expect((await sent(file(row, 'ndjson'))).body).toContain(
          `"attributes":{"n":${number},"l":[${number}]},"occurredAt":1795607432000`,
        )
      }),
      { numRuns: 20 },
    )
  })

  it('a number as an id is an error, not a crash', async () => {
    const ran = await sent(file('{"id":5,"visitor":{"thirdPartyId":5},"attributes":{"a":1}}', 'ndjson'))
    expect([ran.status, ran.body]).toEqual([0, expect.stringContaining('"visitor":{"thirdPartyId":5}')])
  })

  it('a line ends at a line feed, and a byte order mark does not belong to it', async () => {
    expect((await of('05-u2028.ndjson')).rows).toEqual([
      { thirdPartyId: 'ls1', note: 'a\u2028b' },
      { thirdPartyId: 'ls2', note: 'ok' },
    ])
    expect((await of('05-bom.ndjson')).rows).toEqual([
      { thirdPartyId: 'nb1', note: 'x' },
      { thirdPartyId: 'nb2', note: 'y' },
    ])
  })

  it('a repeated name is rejected, as by the API', async () => {
    const { status, err, rows } = await of('16-duplicate-name.ndjson')
    expect([status, err, rows]).toEqual([1, expect.stringMatching(/^line 1: gives one name twice in one object/), []])
  })

  it('a line must be an object', async () => {
    const { err } = await sent(file('5\n[]\n"x"\n{"a"\n', 'ndjson'))
    expect(err.split('\n').slice(0, 4)).toEqual([
      'line 1: is no JSON object: each line holds one whole object',
      'line 2: is no JSON object: each line holds one whole object',
      'line 3: is no JSON object: each line holds one whole object',
      'line 4: is not JSON: each line holds one whole object',
    ])
  })
})

describe('CSV as spreadsheets write it', () => {
  it.each<[string, object[]]>([
    ['15-excel-semicolon.csv', [{ thirdPartyId: 'sc1', plan: 'pro' }]],
    ['15-excel-sep.csv', [{ thirdPartyId: 'se1', plan: 'pro' }]],
    ['15-excel-trailing-columns.csv', [{ thirdPartyId: 'tc1', plan: 'pro' }]],
    [
      '15-excel-blank-rows.csv',
      [
        { thirdPartyId: 'br1', plan: 'pro' },
        { thirdPartyId: 'br2', plan: 'free' },
      ],
    ],
    ['14-occurredAt-epoch.csv', [{ thirdPartyId: 'oc2', plan: 'pro' }]],
  ])('%s is read', async (name, rows) => {
    const ran = await of(name)
    expect([ran.status, ran.err, ran.rows]).toEqual([0, '', rows])
  })

  it.each([
    ['sep=; before the header, with other names for the file', 'sep=;\r\nthirdPartyId;a\r\n1;"x;y"\r\n', 'txt'],
    ['a quoted sep=', '"sep=;"\r\nthirdPartyId;a\r\n1;"x;y"\r\n', 'txt'],
    ['tabs', '"thirdPartyId"\ta\r\n1\tx;y\r\n', 'txt'],
    ['semicolons after a byte order mark', '\uFEFFthirdPartyId ; a\n1;"x;y"\n', 'txt'],
    ['a pipe', 'thirdPartyId|a\n1|x;y\n', 'csv'],
    ['CR line ends', 'thirdPartyId,a\r1,x;y\r', 'csv'],
  ])('%s', async (_, content, end) => {
    const ran = await sent(file(content, end))
    expect([ran.err, ran.rows]).toEqual(['', [{ thirdPartyId: '1', a: 'x;y' }]])
  })

  it.each([
    ['the visitor', 'thirdPartyId;a\n1,79E+12;x\n', 'line 2: thirdPartyId was shortened'],
    ['the id', 'thirdPartyId,id,a\n1,8.20983E+17,x\n', 'line 2: id was shortened'],
    ['the time', 'thirdPartyId,occurredAt,a\n1,1.79E+12,x\n', 'line 2: occurredAt was shortened'],
  ])('%s that the spreadsheet shortened is rejected: two ids may have become one', async (_, content, why) => {
    const ran = await sent(file(content))
    expect([ran.status, ran.rows]).toEqual([1, []])
    expect(ran.err).toBe(`${why} by a spreadsheet (like 1.79E+12): format the column as text, and export it again`)
    // An attribute may be such a number, and 1E12 somebody's id.
    expect((await sent(file('thirdPartyId,a\n1E12,1.79E+12\n'))).rows).toEqual([
      { thirdPartyId: '1E12', a: '1.79E+12' },
    ])
  })

  it.each([
    ['a,b"c"d\n2,x\n', 'line 2: has a quote within a cell: put the whole cell into quotes'],
    ['1,"a"b\n2,x\n', 'line 2: has a quote within a cell: put the whole cell into quotes'],
    ['1,"a\n2,x\n', 'line 2: has a quote that is not closed, here or below'],
  ])('%j is rejected with what to do', async (rows, why) => {
    expect((await sent(file(`thirdPartyId,a\n${rows}`))).err).toContain(why)
  })

  it('a JSON array is told how to become lines', async () => {
    expect(await sent(file('[{"visitor":{}}]', 'json'))).toMatchObject({
      status: 2,
      err: expect.stringContaining('jq'),
    })
  })

  it('a row is named by its line number, whatever precedes it', async () => {
    const { err } = await sent(file('sep=;\nthirdPartyId;a;;\n1;x;;\n;;;\n2;x;;y\n'))
    expect(err).toBe('line 5: has something in column 4, and the header names 2 columns')
  })

  it.each([
    ['thirdPartyId,a,a\n1,x,y\n', /two columns are named a: give each a name of its own/],
    ['thirdPartyId,,a\n1,x,y\n', /column 2 has no name: give it one/],
    [
      'thirdPartyId:a\n1:x\n',
      /the first column must be pcId or thirdPartyId, in a header whose names stand between commas, semicolons, tabs or \|$/,
    ],
    ['a,thirdPartyId\nx,1\n', /: move column 2 to the front$/],
    ['thirdpartyid,a\n1,x\n', /: column 1 is meant so, and written otherwise$/],
    ['secret-1,secret-2\n', /^(?!.*secret)/],
  ])('%j is rejected with what to do', async (content, message) => {
    expect(await sent(file(content))).toMatchObject({ status: 2, err: expect.stringMatching(message), rows: [] })
  })
})

describe('--occurred-at', () => {
  const one = file('thirdPartyId,a\n1,x\n')
  it.each([
    ['2026-11-24T10:00:00', /--occurred-at must be a time: ISO 8601 with an offset/],
    ['Tue Nov 24 2026', /must be a time/],
    ['2999-01-01T00:00:00Z', /more than 5 minutes ahead/],
  ])('%s is rejected, as by the relay', async (at, message) => {
    expect(await sent(one, '--occurred-at', at)).toMatchObject({
      status: 2,
      err: expect.stringMatching(message),
      rows: [],
    })
  })

  it.each(['2026-11-24T10:00:00+0100', '1764064800', '1764064800000'])('%s is accepted', async (at) => {
    expect((await sent(one, '--occurred-at', at)).body).toContain(`"occurredAt":"${at}"`)
  })
})
