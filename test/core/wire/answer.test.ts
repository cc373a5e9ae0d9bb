import { describe, expect, it } from 'vitest'
import { type Answer, readAnswer, readRetryAfter } from '../../../src/core/wire/answer.ts'

const envelope = (success: string, message = '') =>
  `<response>\n <success>${success}</success>\n <pcId></pcId>\n <message>${message}</message></response>`
const nowMs = Date.UTC(2026, 10, 24, 12)
const retentionMs = 24 * 3_600_000

describe('what Target’s answer means', () => {
  const table: [status: number, body: string, strict: boolean, kind: Answer['kind']][] = [
    [200, envelope('true', 'Request successfully submitted'), true, 'delivered'],
    [200, envelope(' TRUE '), true, 'delivered'],
    [200, 'trueRequest successfully submitted', true, 'delivered'],
    [200, 'true Request successfully submitted', true, 'delivered'],
    [200, envelope('false', 'no'), true, 'refused'],
    [200, envelope('false', 'no'), false, 'refused'],
    [200, 'false', true, 'refused'],
    [200, '', true, 'disbelieved'],
    [200, '<html>Welcome to our proxy, it is true</html>', true, 'disbelieved'],
    [200, 'truly yours', true, 'disbelieved'],
    [200, '<html></html>', false, 'delivered'],
    [204, '', true, 'disbelieved'],
    [200, 'untrue', true, 'disbelieved'],
    [200, 'not trueRequest successfully submitted', true, 'disbelieved'],
    [200, ' \n trueRequest successfully submitted', true, 'delivered'],
    [199, envelope('true'), true, 'refused'],
    [299, envelope('true'), true, 'delivered'],
    [300, envelope('true'), true, 'misconfigured'],
    [301, '', true, 'misconfigured'],
    [302, envelope('true'), true, 'misconfigured'],
    [401, '', true, 'misconfigured'],
    [403, '', true, 'misconfigured'],
    [400, '', true, 'refused'],
    [404, '', true, 'refused'],
    [413, '', true, 'refused'],
    [408, '', true, 'unavailable'],
    [420, '', true, 'unavailable'],
    [425, '', true, 'unavailable'],
    [429, '', true, 'unavailable'],
    [500, envelope('true'), true, 'unavailable'],
    [503, '', true, 'unavailable'],
  ]
  it.each(table)('%i %s, strict %s: %s', (status, body, strict, kind) => {
    expect(readAnswer({ status, body }, { strict, nowMs, retentionMs }).kind).toBe(kind)
  })

  it('keeps Target’s message, shortened and without control characters', () => {
    expect(
      readAnswer(
        { status: 200, body: envelope('false', `bad\nthing ${'x'.repeat(500)}`) },
        { strict: true, nowMs, retentionMs },
      ),
    ).toEqual({
      kind: 'refused',
      own: true,
      message: `bad thing ${'x'.repeat(190)}`,
    })
  })
})

describe('what Target says of a refusal', () => {
  const messageOf = (status: number, body: string) => readAnswer({ status, body }, { strict: true, nowMs, retentionMs })
  it.each([
    [200, envelope('false'), 'success=false'],
    [200, '<response><success>false</success></response>', 'success=false'],
    [200, envelope('false', '\r\n'), 'success=false'],
    [400, envelope('false', 'bad profile'), 'bad profile'],
    [404, 'not found', 'status 404'],
    [400, envelope('false', 'a\r\n\tb'), 'a b'],
    [400, envelope('false', `${'x'.repeat(199)}😀`), `${'x'.repeat(199)}\ufffd`],
  ])('%i %j: %j', (status, body, message) => {
    expect(messageOf(status, body)).toMatchObject({ kind: 'refused', message })
  })
})

it.each([
  ['120', { kind: 'unavailable', status: 503, retryAfterMs: 120_000 }],
  ['soon', { kind: 'unavailable', status: 503 }],
])('a temporary failure carries the wait of Retry-After, if that can be read: %s', (retryAfter, answer) => {
  expect(readAnswer({ status: 503, body: '', retryAfter }, { strict: true, nowMs, retentionMs })).toStrictEqual(answer)
})

it.each([
  ['its own Date, however wrong our clock is', 'Fri, 27 Nov 2026 10:00:00 GMT', 90_000],
  ['our clock if its Date cannot be read', 'yesterday', 30_000],
  ['our clock if it gives none', undefined, 30_000],
])('a Retry-After that is a date is compared with %s', (_, date, retryAfterMs) => {
  const answer = {
    status: 503,
    body: '',
    retryAfter: 'Fri, 27 Nov 2026 10:01:30 GMT',
    ...(date === undefined ? {} : { date }),
  }
  const context = { strict: true, nowMs: Date.parse('2026-11-27T10:01:00Z'), retentionMs }
  expect(readAnswer(answer, context)).toStrictEqual({ kind: 'unavailable', status: 503, retryAfterMs })
})

describe('Retry-After, in both forms, read strictly', () => {
  it.each([
    ['120', 120_000],
    [' 5 ', 5_000],
    ['Tue, 24 Nov 2026 12:02:00 GMT', 120_000],
    ['Tue, 24 Nov 2026 11:00:00 GMT', 0],
    ['9999999999', 86_400_000],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['soon', undefined],
    ['0', 0],
    ['', undefined],
    ['12 0', undefined],
    ['120s', undefined],
    ['99999999999', undefined],
    ['on Tue, 24 Nov 2026 12:02:00 GMT', undefined],
    ['Tue, 24 Nov 2026 12:02:00 GMT+1', undefined],
    ['Tue, 24 Nov 2026 12:02:00', undefined],
    ['Tue, 99 Nov 2026 12:02:00 GMT', undefined],
    ['2026-11-24', undefined],
    [undefined, undefined],
  ])('%s: %s ms', (header, waitMs) => {
    expect(readRetryAfter(header, nowMs, retentionMs)).toBe(waitMs)
  })
})

it.each([
  [200, envelope('false'), true],
  [400, envelope('false'), true],
  [404, 'no such client', false],
  [400, '', false],
])('a refusal with status %i and body %j is Target’s own: %s', (status, body, own) => {
  expect(readAnswer({ status, body }, { strict: true, nowMs, retentionMs })).toMatchObject({ kind: 'refused', own })
})
