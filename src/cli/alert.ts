/** `target-relay alert --test`: sends one alert, to see whether its receiver takes it. */
import { parseArgs } from 'node:util'
import { alertSender } from '../cron/alerts/send.ts'
import { systemClock, systemRandom } from '../relay/runtime.ts'
import { parseSettings } from '../relay/settings.ts'
import { type Command, exit } from './command.ts'
import { Failed, Misuse } from './errors.ts'

export const alert: Command = {
  summary: 'send an alert to ALERT_URL, to try it out',
  usage: `target-relay alert --test

Sends one alert of the type "test", signed as those of the relay are. Settings: ALERT_URL, ALERT_SECRET. Exit 1 where the
receiver does not take it.`,

  async run({ args, env, out }) {
    const { values } = parseArgs({ args: [...args], options: { test: { type: 'boolean', default: false } } })
    if (!values.test) throw new Misuse('say --test: it sends an alert')
    const own = Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('ALERT_')))
    const parsed = parseSettings({
      TARGET_CLIENT_CODE: env['TARGET_CLIENT_CODE'] || 'test',
      HASH_KEY: 'of no use here, but it must be there',
      ...own,
    })
    if (!parsed.ok) throw new Misuse(parsed.problems.join('; '))
    const { alert, targetClientCode: relay } = parsed.settings
    if (alert === undefined) throw new Misuse('set ALERT_URL and ALERT_SECRET')
    const send = alertSender({ ...alert, relay, fetch, clock: systemClock })
    const id = `alert_test_${systemRandom.hex(8)}`
    const why = await send({ id, type: 'test', recovered: false, atMs: systemClock.now(), data: {} })
    if (why !== undefined) throw new Failed(`the receiver did not take it: ${why}`)
    out(`the receiver took ${id}`)
    return exit.ok
  },
}
