/** Events that come wrapped arrive as exactly as those that do not. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { base64Json, fromEnvelope, json, multipart } from '../../../src/edge/source/envelopes.ts'
import { id } from '../../../src/edge/source/schemas.ts'

const encode = (text: string) => Buffer.from(text, 'utf8')

describe('base64Json', () => {
  it('reads any text exactly, in base64 and base64url, padded or not', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const bytes = encode(JSON.stringify({ text }))
        const schema = base64Json(z.object({ text: z.string() }))
        for (const written of [bytes.toString('base64'), bytes.toString('base64url')])
          expect(schema.parse(written)).toEqual({ text: text.toWellFormed() === text ? text : expect.any(String) })
      }),
    )
    expect(base64Json(z.object({ store: z.string() })).parse('eyJzdG9yZSI6IlrDvHJpY2gifQ==')).toEqual({
      store: 'Zürich',
    })
  })

  it('keeps every digit of a long id', () => {
    const schema = base64Json(z.object({ order: id() }))
    expect(schema.parse(encode('{"order":820982911946154508}').toString('base64'))).toEqual({
      order: '820982911946154508',
    })
  })

  it.each([
    ['no base64', '{"a":1}'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff]).toString('base64')],
    ['no JSON', encode('hello').toString('base64')],
    ['a name twice', encode('{"a":1,"a":2}').toString('base64')],
    ['a number', 7],
  ])('refuses %s', (_, written) => {
    expect(base64Json(z.unknown()).safeParse(written).success).toBe(false)
  })
})

describe('fromEnvelope', () => {
  const schema = fromEnvelope('message.data', json(z.object({ customer: id() })))

  it('reads the event where it is', () => {
    expect(schema.parse({ message: { data: '{"customer":"c-1"}' }, other: 1 })).toEqual({ customer: 'c-1' })
  })

  it.each([
    ['no such field', { message: {} }],
    ['no object on the way', { message: 'text' }],
    ['an inherited field', { message: Object.create({ data: '{"customer":"c-1"}' }) }],
    ['no object', []],
    ['null', null],
  ])('refuses %s', (_, event) => {
    expect(schema.safeParse(event).success).toBe(false)
  })
})

describe('multipart', () => {
  const read = (text: string) => multipart(z.unknown()).safeParse(text)
  const part = (name: string, value: string, more = '') =>
    `--x\r\nContent-Disposition: form-data; name="${name}"${more}\r\nContent-Type: text/plain\r\n\r\n${value}\r\n`

  it('reads what a platform’s own FormData writes, exactly', async () => {
    const values = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/\r\n|\r|\n/g, '\r\n').toWellFormed())
    await fc.assert(
      fc.asyncProperty(fc.array(values, { minLength: 1, maxLength: 5 }), async (texts) => {
        const form = new FormData()
        for (const [index, text] of texts.entries()) form.append(`field-${index}`, text)
        const written = await new Response(form).text()
        expect(read(written).data).toEqual(Object.fromEntries(texts.map((text, index) => [`field-${index}`, text])))
      }),
    )
  })

  it('gives a list for a name that is given twice, and knows files by their names', () => {
    expect(
      read(`${part('a', '1')}${part('a', '2 --x')}${part('f', '', '; filename="name=\\"b\\""')}--x--`).data,
    ).toEqual({
      a: ['1', '2 --x'],
      f: '',
    })
  })

  it.each([
    ['nothing', ''],
    ['another body', '{"a":1}'],
    ['no end', part('a', '1')],
    ['an end that is cut', `${part('a', '1')}--x-`],
    ['a part without a name', '--x\r\ncontent-disposition: form-data\r\n\r\n1\r\n--x--'],
    ['a part without a head', '--x\r\n\r\n1\r\n--x--'],
    ['bare line feeds', part('a', '1').replaceAll('\r\n', '\n')],
    ['no boundary', '--\r\n'],
  ])('%s is none, and its values are not shown', (_, text) => {
    const done = read(text)
    expect(done.success).toBe(false)
    expect(done.error?.issues.map(({ message }) => message)).toEqual([
      'must be a whole multipart/form-data body, each part with a name',
    ])
  })
})
