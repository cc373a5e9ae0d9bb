/** The demo's verdict can be trusted: it passes with an honest Target, and fails with one that cheats. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'

const demo = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url))

describe('npm run demo', () => {
  it.each([
    ['drop', 'lost'],
    ['swap', 'lost'],
    ['repeat', 'stale'],
  ] as const)(
    'exits 1 under a sabotaged Target (%s), and counts the result as %s',
    { timeout: 90_000 },
    (sabotage, counted) => {
      const run = spawnSync(process.execPath, [demo, '--sabotage', sabotage], { encoding: 'utf8' })
      const verdict = JSON.parse(run.stdout.trim().split('\n').at(-1) ?? '') as Record<string, number>
      expect(verdict[counted]).toBeGreaterThan(0)
      expect(run.status).toBe(1)
    },
  )
})
