/** The trace of a request, as W3C Trace Context says it is read; test vectors are those of its section 2.2 and of its test suite. */
import { describe, expect, it } from 'vitest'
import { tracedLog, traceIdOf } from '../../../src/edge/http/trace.ts'

const [trace, span] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
const idOf = (traceparent?: string) => traceIdOf(new Headers(traceparent === undefined ? {} : { traceparent }))

describe('the trace of a request', () => {
  it.each([
    ['sampled', `00-${trace}-${span}-01`],
    ['not sampled', `00-${trace}-${span}-00`],
    ['of a later version', `cc-${trace}-${span}-01`],
    ['of a later version with more behind', `cc-${trace}-${span}-01-what-the-future-will-be-like`],
  ])('%s', (_, traceparent) => {
    expect(idOf(traceparent)).toBe(trace)
  })

  it.each([
    ['none', undefined],
    ['empty', ''],
    ['version ff', `ff-${trace}-${span}-01`],
    ['version 00 with more behind', `00-${trace}-${span}-01-what-the-future-will-be-like`],
    ['version 00 with a dash behind', `00-${trace}-${span}-01-`],
    ['a later version with more and no dash', `cc-${trace}-${span}-01.what`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${span}-01`],
    ['a span of zeros', `00-${trace}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${trace.toUpperCase()}-${span}-01`],
    ['a short trace', `00-${trace.slice(1)}-${span}-01`],
    ['a long trace', `00-${trace}a-${span}-01`],
    ['not hex', `00-${trace.replace('4', 'g')}-${span}-01`],
    ['two', `00-${trace}-${span}-01, 00-${trace}-${span}-01`],
    ['an id of somebody', '00-c-42-secret-01'],
    ['very long', `cc-${'a'.repeat(100_000)}`],
  ])('is left alone where it is %s', (_, traceparent) => {
    expect(idOf(traceparent)).toBeUndefined()
  })

  it('stands in each line that is written meanwhile, and in no other', () => {
    const lines: unknown[] = []
    let current: string | undefined = trace
    const log = tracedLog(
      (event, details) => lines.push([event, details]),
      () => current,
    )
    log('paused')
    log('settle_failed', { tries: 1 })
    current = undefined
    log('paused')
    expect(lines).toEqual([
      ['paused', { trace_id: trace }],
      ['settle_failed', { tries: 1, trace_id: trace }],
      ['paused', {}],
    ])
  })
})
