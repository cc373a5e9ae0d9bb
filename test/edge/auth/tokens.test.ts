import { describe, expect, it } from 'vitest'
import { bearer, isOneOf, verifyBearer } from '../../../src/edge/auth/tokens.ts'

describe('tokens', () => {
  it.each([
    ['Bearer right', ['right'], true],
    ['bearer  right', ['wrong', 'right'], true],
    ['Bearer right', ['wrong'], false],
    ['Bearer right', [], false],
    ['Bearer right', [''], false],
    ['Bearer ', [''], false],
    ['Bearer right right', ['right right'], false],
    ['Basic right', ['right'], false],
    ['right', ['right'], false],
    [null, ['right'], false],
    [null, [], false],
  ])('%s against %j: %s', async (header, tokens, proven) => {
    expect(await verifyBearer(header, tokens)).toBe(proven)
  })

  it('nobody is in where there are no secrets', async () => {
    expect(await isOneOf('', [])).toBe(false)
    const headers = new Headers({ authorization: 'Bearer anything' })
    expect(
      await bearer().verify({
        headers,
        body: new Uint8Array(),
        secrets: [],
        nowMs: 0,
        method: 'POST',
        url: 'https://relay.example/hooks/x',
      }),
    ).toBe(false)
  })
})
