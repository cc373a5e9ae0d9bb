/** Deliberate bugs, each one a small patch, and the tests that must notice it. */

export interface Mutant {
  readonly name: string
  /** The guarantee it breaks. */
  readonly breaks: string
  readonly file: string
  /** Exact text that occurs once, and what stands there instead. */
  readonly find: string
  readonly replace: string
  readonly tests: readonly string[]
}

const live = ['test/core/live.test.ts']
const flush = ['test/cron/flush.test.ts', 'test/cron/crash.test.ts']
const ledger = ['test/core/ledger/sql.test.ts']
const window = ['test/core/ledger/quota.test.ts', 'test/core/ledger/sql.test.ts']
const upstash = ['test/core/ledger/upstash.test.ts', 'test/core/ledger/quota.test.ts']
const codec = ['test/core/codec.test.ts']

export const mutants: readonly Mutant[] = [
  {
    name: 'fail open when the ledger is silent',
    breaks: 'G1',
    file: 'src/core/live.ts',
    find: "return keepBlind(updates, 'ledger_unavailable')",
    replace:
      "admitted = updates.map((update) => ({ attempt: attemptOf(update), admission: { event: 'open' as const, verdicts: update.attributes.map(() => 'send' as const), attempts: 0 }, token: 't', units: 1, requestedAtMs: clock.now() }))",
    tests: live,
  },
  {
    name: 'answer before the put',
    breaks: 'G2',
    file: 'src/core/live.ts',
    find: 'const kept = await Promise.all(passages.map((passage, index) => keepRest(at(updates, index), passage)))',
    replace: 'const kept = passages.map((passage, index) => { void keepRest(at(updates, index), passage); return true })',
    tests: live,
  },
  {
    name: 'mark the event before its put resolved',
    breaks: 'G2',
    file: 'src/core/live.ts',
    find: 'const eventDone = kept && update.event !== undefined ? { eventDone: update.event } : undefined',
    replace: 'const eventDone = update.event !== undefined ? { eventDone: update.event } : undefined',
    tests: live,
  },
  {
    name: 'forget an update whose settle failed',
    breaks: 'G2',
    file: 'src/core/live.ts',
    find: 'if (passage.calls === 0) return undefined',
    replace: 'if (passage.calls >= 0) return undefined',
    tests: live,
  },
  {
    name: 'start a call long after its admission',
    breaks: 'G3',
    file: 'src/core/door.ts',
    find: 'clock.now() - next.requestedAtMs > startWithinMs',
    replace: 'clock.now() - next.requestedAtMs > Number.MAX_SAFE_INTEGER',
    tests: live,
  },
  {
    name: 'take an unknown outcome for a delivery',
    breaks: 'G2',
    file: 'src/core/door.ts',
    find: "return 'sent_unknown'",
    replace: "return 'sent_delivered'",
    tests: live,
  },
  {
    name: 'drop the last part of a split',
    breaks: 'G2',
    file: 'src/core/codec.ts',
    find: 'if (part.length > 0) parts.push(part)\n  return',
    replace: 'if (part.length > 0 && parts.length === 0) parts.push(part)\n  return',
    tests: codec,
  },
  {
    name: 'a GET that may arrive twice counts one unit',
    breaks: 'G1',
    file: 'src/core/codec.ts',
    find: 'const unitsPerGet = 2',
    replace: 'const unitsPerGet = 1',
    tests: codec,
  },
  {
    name: 'leave & unencoded',
    breaks: 'G6',
    file: 'src/core/codec.ts',
    find: 'return encodeURIComponent(text).replace(',
    replace: "return encodeURIComponent(text).replaceAll('%26', '&').replace(",
    tests: codec,
  },
  {
    name: 'merge oldest wins',
    breaks: 'G3',
    file: 'src/core/merge.ts',
    find: 'stamp > held.stamp',
    replace: 'stamp < held.stamp',
    tests: flush,
  },
  {
    name: 'delete before the settle is confirmed',
    breaks: 'G2',
    file: 'src/cron/flush.ts',
    find: "if (settlements.length > 0) await guarded('ledger_unavailable', () => ledger.settle(settlements, { calls, replayCalls: calls }))",
    replace: 'if (settlements.length > 0) void ledger.settle(settlements, { calls, replayCalls: calls }).catch(() => undefined)',
    tests: flush,
  },
  {
    name: 'a loser leaves with a refused winner',
    breaks: 'G2',
    file: 'src/cron/flush.ts',
    find: 'if (refused && group.entries.length > 1) await takeApart(group, standings)',
    replace: 'if (refused && group.entries.length > 99) await takeApart(group, standings)',
    tests: flush,
  },
  {
    name: 'send what never met the ledger at once',
    breaks: 'G3',
    file: 'src/cron/flush.ts',
    find: 'entry.blind === true ? entry.firstSeenMs + parts.outageSettleMs : 0',
    replace: '0',
    tests: flush,
  },
  {
    name: 'do not ask for first stamps',
    breaks: 'G3',
    file: 'src/cron/flush.ts',
    find: 'entry.blind === true && entry.event !== undefined ? [entry.event] : []',
    replace: '[]',
    tests: flush,
  },
  {
    name: 'drop what is expired',
    breaks: 'G2',
    file: 'src/cron/flush.ts',
    find: 'if (dead.length > 0) {',
    replace: 'if (dead.length > 99) {',
    tests: flush,
  },
  {
    name: 'ignore what is open',
    breaks: 'G3',
    file: 'src/core/ledger/register.ts',
    find: "if (open !== undefined && open.stamp > stamp) return 'waits'",
    replace: '',
    tests: ledger,
  },
  {
    name: 'ignore the token',
    breaks: 'G3',
    file: 'src/core/ledger/register.ts',
    find: "outcome !== 'unknown' && open !== undefined && open.token !== '' && open.token === token",
    replace: "outcome !== 'unknown' && open !== undefined",
    tests: ledger,
  },
  {
    name: 'clear instead of restore',
    breaks: 'G3',
    file: 'src/core/ledger/register.ts',
    find: "outcome === 'unsent' && again === true ? [stamp, ...below] : below",
    replace: '[] as Stamp[]',
    tests: ledger,
  },
  {
    name: 'compare stamps the wrong way',
    breaks: 'G3',
    file: 'src/core/ledger/register.ts',
    find: 'done !== undefined && done >= stamp',
    replace: 'done !== undefined && done <= stamp',
    tests: ledger,
  },
  {
    name: 'evict a bucket early',
    breaks: 'G1',
    file: 'src/core/ledger/sql-window.ts',
    find: 'const oldestLive = Math.floor((nowMs - keptMs) / bucketMs)',
    replace: 'const oldestLive = Math.floor((nowMs - keptMs) / bucketMs) + 1',
    tests: window,
  },
  {
    name: 'forget the slack',
    breaks: 'G1',
    file: 'src/core/ledger/sql-window.ts',
    find: 'settings.quotaWindowMs + settings.quotaSlackMs',
    replace: 'settings.quotaWindowMs',
    tests: window,
  },
  {
    name: 'ignore the reserve',
    breaks: 'G7',
    file: 'src/core/ledger/port.ts',
    find: 'live: 1 - settings.replayReserve,',
    replace: 'live: 1,',
    tests: ledger,
  },
  {
    name: 'give units back every time',
    breaks: 'G1',
    file: 'src/core/ledger/sql.ts',
    find: 'if (closed && giveBack !== undefined)',
    replace: 'if (giveBack !== undefined)',
    tests: ledger,
  },
  {
    name: 'Redis: evict a bucket early',
    breaks: 'G1',
    file: 'src/core/ledger/scripts/prelude.ts',
    find: 'math.floor((now - input.keptMs) / input.bucketMs) - 1',
    replace: 'math.floor((now - input.keptMs) / input.bucketMs)',
    tests: upstash,
  },
  {
    name: 'Redis: keep what was reserved and not needed',
    breaks: 'G1',
    file: 'src/core/ledger/scripts/admit.ts',
    find: 'if granted > 0 then window.giveBack(tonumber(grantBucket), granted) end',
    replace: '',
    tests: upstash,
  },
  {
    name: 'Redis: let the client retry',
    breaks: 'G1',
    file: 'src/core/ledger/upstash.ts',
    find: 'retry: { retries: 0 }',
    replace: 'retry: { retries: 2, backoff: () => 1 }',
    tests: upstash,
  },
]
