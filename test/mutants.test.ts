/** A deliberate bug whose patch no longer fits is a test that was silently lost. */
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { mutants } from '../scripts/mutants/list.ts'

describe('the mutants', () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s: still fits', (_, { file, find, replace }) => {
    const text = readFileSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), 'utf8')
    expect(text.split(find)).toHaveLength(2)
    expect(replace).not.toBe(find)
    // A mutant that does not parse would count as noticed.
    expect(() => stripTypeScriptTypes(text.replace(find, () => replace))).not.toThrow()
  })

  it('have unique names', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length)
  })
})
