/** The descriptions of docs/sources.md, "Cookbook": each makes a scheme, and takes what is signed as it says. */
import { readFileSync } from 'node:fs'
import { URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { signRequest } from '../../../src/dev/sign.ts'
import type { SignatureDescriptor } from '../../../src/edge/auth/descriptor.ts'
import { encodeUtf8 } from '../../../src/edge/auth/encodings.ts'
import { signature } from '../../../src/edge/auth/signature.ts'
import { source } from '../../../src/edge/source/source.ts'

const page = readFileSync(new URL('../../../docs/sources.md', import.meta.url), 'utf8')
const rows = [...page.matchAll(/^\| ([^|]+) \| `(algorithm: .+?)`[^`\n]*(?:`[^`]*`[^`\n]*)*\|$/gm)].map(
  ([, sender = '', text = '']) =>
    // biome-ignore lint/security/noGlobalEval: a page of this repository.
    [sender, eval(`({ name: 'page', ${text} })`) as SignatureDescriptor] as const,
)
const nowMs = 1_790_000_000_000
const body = encodeUtf8('{"id":"e-1"}')
const secret = '0123456789abcdef0123456789abcdef'

describe('the cookbook', () => {
  it('has descriptions', () => {
    expect(rows.length).toBeGreaterThanOrEqual(8)
  })

  it.each(rows)(
    '%s: what is signed as described authenticates, and with any other body it does not',
    async (_, one) => {
      const scheme = signature(one)
      if (!one.algorithm.startsWith('HMAC-')) return
      const page = source('page', { auth: scheme, acceptsCopies: true, schema: z.looseObject({}), map: () => null })
      const made = await signRequest(page, { origin: 'https://relay.example', body, secret, nowMs, id: 'm-1' })
      const judge = (sent: Uint8Array<ArrayBuffer>, atMs: number) =>
        scheme.verify({ ...made, headers: new Headers(made.headers), body: sent, secrets: [secret], nowMs: atMs })
      expect(await judge(made.body, nowMs)).toBe(true)
      expect(await judge(encodeUtf8('{"id":"e-2"}'), nowMs)).toBe('mismatch')
      expect(await judge(made.body, nowMs + 301_000)).toBe(one.timestamp === undefined ? true : 'stale')
    },
  )
})
