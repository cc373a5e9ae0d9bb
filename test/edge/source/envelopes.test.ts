/** Events that come wrapped arrive as exactly as those that do not. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { base64Json, fromEnvelope, json } from '../../../src/edge/source/envelopes.ts'
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
