/** The documentation names what there is. */
import { readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import * as presets from '../src/edge/auth/presets.ts'

const page = (path: string) => readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8')

describe('docs/sources.md', () => {
  const rows = page('docs/sources.md').split('\n')
  it.each(Object.entries(presets).map(([name, preset]) => [name, preset] as const))(
    'has a row for %s that says the truth',
    (name, preset) => {
      const row = rows.find((line) => line.startsWith(`| \`${name}()\``))
      const [, , , proves = '', time = '', id = ''] = row?.split('|').map((cell) => cell.trim()) ?? []
      const [descriptor] = preset.descriptors
      expect(time).toBe(preset().seesTime === true ? 'yes' : 'no')
      expect(id.replaceAll('`', '').replace(', signed', '')).toBe(descriptor?.id ?? '')
      expect(id.endsWith('signed')).toBe(descriptor?.signed.includes('{id}') === true)
      expect(proves.includes('body') || proves.includes('not signed')).toBe(true)
      expect(proves.includes('not signed')).toBe(descriptor?.bodyUnsigned === true)
      expect(proves.includes('URL')).toBe(/\{url\}/.test(descriptor?.signed ?? ''))
    },
  )
})

describe('README', () => {
  const readme = page('README.md')
  const settings = [...page('src/settings.ts').matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name = '']) => name)
  it.each(settings)('names the setting %s', (name) => {
    expect(readme).toContain(`\`${name}\``)
  })

  it.each(['serve', 'flush', 'map', 'lint', 'send', 'verify', 'status', 'ledger'])('names the command %s', (name) => {
    expect(readme).toMatch(new RegExp(`^\\| \`${name}\\b`, 'm'))
  })
})
