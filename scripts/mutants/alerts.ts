/** Deliberate bugs in alerts, and in what starts a flush while the cron is silent. */
import type { Mutant } from './mutant.ts'

const alerts = ['test/cron/alerts.test.ts']
const duty = 'src/cron/alerts/duty.ts'
const state = 'src/cron/alerts/state.ts'
const conditions = 'src/cron/alerts/conditions.ts'
const send = 'src/cron/alerts/send.ts'

export const alertMutants: readonly Mutant[] = [
  {
    name: 'an alert is sent before it is kept',
    breaks: 'G9',
    file: duty,
    find: 'if (next !== state) await ledger.remember(memo, JSON.stringify(next))',
    replace: '',
    tests: alerts,
  },
  {
    name: 'an alert that was told is told in every run',
    breaks: 'G9',
    file: state,
    find: 'told === true ? []',
    replace: '(false as boolean) ? []',
    tests: alerts,
  },
  {
    name: 'an alert that its receiver did not take counts as told',
    breaks: 'G9',
    file: duty,
    find: "if (why !== undefined) return log('alert_not_sent', { type: message.type, error: why })",
    replace: '',
    tests: alerts,
  },
  {
    name: 'what ended before it was told is never told',
    breaks: 'G9',
    file: state,
    find: 'else if (known.overMs === undefined) raised[name] = { ...known, overMs: nowMs }',
    replace:
      'else if (known.told !== true) delete raised[name]\n    else if (known.overMs === undefined) raised[name] = { ...known, overMs: nowMs }',
    tests: alerts,
  },
  {
    name: 'what begins again before its end was told is a new occurrence',
    breaks: 'G9',
    file: state,
    find: 'raised[name] = goesOn',
    replace: 'raised[name] = { ...goesOn, sinceMs: nowMs }',
    tests: alerts,
  },
  {
    name: 'a full window is over its level and under it every minute',
    breaks: 'G9',
    file: conditions,
    find: '? level - levelSlack : level',
    replace: '? level : level',
    tests: alerts,
  },
  {
    name: 'what a run did not meet is over',
    breaks: 'G9',
    file: conditions,
    find: "if (unreadable > 0 || stopped === 'drained')",
    replace: "if (unreadable > 0 || stopped !== 'leased')",
    tests: alerts,
  },
  {
    name: 'dead letters that come one by one are an alert each',
    breaks: 'G9',
    file: conditions,
    find: 'nowMs - grewAtMs >= deadQuietMs',
    replace: 'nowMs - grewAtMs > 0',
    tests: alerts,
  },
  {
    name: 'a ledger that is silent is told of by every run',
    breaks: 'G9',
    file: duty,
    find: 'if (memory.silentSinceMs === sinceMs) return',
    replace: '',
    tests: alerts,
  },
  {
    name: 'alerts ask an idle ledger although nobody receives them',
    breaks: 'G9',
    file: duty,
    find: "if (report.read === 0 && startedBy === 'cron' && Object.keys(state.raised).length === 0) return",
    replace: '',
    tests: alerts,
  },
  {
    name: 'an alert is signed without its id',
    breaks: 'security',
    file: send,
    find: '[id, timestamp, body].join',
    replace: '[timestamp, body].join',
    tests: alerts,
  },
  {
    name: 'an alert follows a redirect',
    breaks: 'security',
    file: send,
    find: "redirect: 'manual'",
    replace: "redirect: 'follow'",
    tests: alerts,
  },
  {
    name: 'a receiver of alerts may take for ever',
    breaks: 'G7',
    file: send,
    find: 'signal: given.signal,',
    replace: '',
    tests: alerts,
  },
  {
    name: 'what a source replays is taken for a sender that was authenticated',
    breaks: 'G9',
    file: 'src/relay/alert-figures.ts',
    find: 'else if (authenticated.has(name)) passed.add(source)',
    replace: 'else passed.add(source)',
    tests: ['test/relay/alert-figures.test.ts'],
  },
  {
    name: 'the alarm starts no flush',
    breaks: 'G7',
    file: 'src/workers/ledger-object.ts',
    find: 'await FlushStarter?.flush()',
    replace: 'await Promise.resolve()',
    tests: ['test/worker/alarm.test.ts'],
  },
  {
    name: 'a cron that never came is not silent',
    breaks: 'G7',
    file: 'src/workers/ledger-object.ts',
    find: 'if ((await ctx.storage.getAlarm()) === null) await this.cronCame()',
    replace: 'await ctx.storage.getAlarm()',
    tests: ['test/worker/alarm.test.ts'],
  },
]
