/** The demo's verdict can be trusted: it passes with an honest Target, and fails with one that cheats. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runningCommand } from '../support/dev.ts'

const demo = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url))

describe('npm run demo', () => {
  it('with --keep leaves the relay running, and says where its console is', { timeout: 120_000 }, async () => {
    const root = fileURLToPath(new URL('../..', import.meta.url))
    await using running = runningCommand([process.execPath, demo, '--keep'], root)
    const printed = await running.until(/^console: /m)
    const [, address = '', password = ''] = /^console: (\S+), user admin, password (\S+)\./m.exec(printed) ?? []
    const headers = { authorization: `Basic ${btoa(`admin:${password}`)}` }
    const page = await fetch(address, { headers })
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('kiosk')])
    // 130 where wrangler's own handler of the signal is first.
    expect([0, 130]).toContain(await running.stop())
    await expect(fetch(address)).rejects.toThrow()
  })

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
