/** What events change: `npm test` runs this. Write what you expect of yours. */
import { ok } from 'node:assert/strict'
import { test } from 'node:test'
import { sources } from '../src/sources.ts'

for (const { name, sample, sampleHeaders, read } of sources)
  test(`the sample of ${name} changes a profile`, () => {
    const result = read(sample, { headers: sampleHeaders })
    ok(result.ok)
    ok(result.drafts.length > 0)
  })
