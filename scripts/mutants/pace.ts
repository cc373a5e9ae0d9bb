/** Deliberate bugs in pacing. */
import type { Mutant } from './mutant.ts'

const pace = 'src/core/ledger/rules/pace.ts'
const sqlWindow = 'src/core/ledger/sql/window.ts'
const redisWindow = 'src/core/ledger/redis/scripts/window.ts'
const redisPace = 'src/core/ledger/redis/scripts/pace.ts'
const reserve = 'src/core/ledger/redis/scripts/reserve.ts'
const rules = ['test/core/ledger/rules/pace.test.ts']
const days = ['test/core/ledger/pace.test.ts']
const sqlLedger = ['test/core/ledger/sql/ledger.test.ts']
const redisLedger = ['test/core/ledger/redis/ledger.test.ts']

export const paceMutants: readonly Mutant[] = [
  {
    name: 'pacing: half of what is free may go in a span, and the day never becomes even',
    breaks: 'G7',
    file: pace,
    find: 'export const burstSpans = 4',
    replace: 'export const burstSpans = 12',
    tests: days,
  },
  {
    name: 'pacing: a span has a part of what is free and no more, and a part of the quota is never used',
    breaks: 'G7',
    file: pace,
    find: 'Math.max(limit, burstSpans * (limit - before))',
    replace: '(burstSpans * (limit - before))',
    tests: days,
  },
  {
    name: 'pacing: a span in which nothing went lets nothing go that is larger than its part',
    breaks: 'G7',
    file: pace,
    find: 'Math.min(recent, wanted -',
    replace: 'Math.min(wanted -',
    tests: sqlLedger,
  },
  {
    name: 'pacing: 24 spans are longer than the window',
    breaks: 'G7',
    file: pace,
    find: 'Math.max(1, Math.floor(quotaWindowMs / spansAWindow / quotaBucketMs))',
    replace: 'Math.max(1, Math.ceil(quotaWindowMs / spansAWindow / quotaBucketMs))',
    tests: rules,
  },
  {
    name: 'pacing: what leaves the span is free in the next one',
    breaks: 'G7',
    file: pace,
    find: '(whole - burst))',
    replace: 'whole)',
    tests: rules,
  },
  {
    name: 'pacing: each lane may fill the whole span, so that replay has no reserve in it',
    breaks: 'G7',
    file: sqlWindow,
    find: 'before: state.total - recent }, units, ceiling, settings.quotaLimit)',
    replace: 'before: state.total - recent }, units, settings.quotaLimit, settings.quotaLimit)',
    tests: sqlLedger,
  },
  {
    name: 'pacing: what was granted in the same batch is not counted',
    breaks: 'G7',
    file: sqlWindow,
    find: 'if (recent !== undefined && lastMs >= spanFromMs) recent += units',
    replace: '',
    tests: sqlLedger,
  },
  {
    name: 'pacing: the time given is that of the whole span',
    breaks: 'G7',
    file: sqlWindow,
    find: '(bucketWith(lacking, spanFromMs) ?? state.newestMs)',
    replace: 'state.newestMs',
    tests: sqlLedger,
  },
  {
    name: 'Redis: pacing: what was granted in the same batch is not counted',
    breaks: 'G7',
    file: redisWindow,
    find: 'if self.recent and last >= self.spanFrom then self.recent = self.recent + units end',
    replace: '',
    tests: redisLedger,
  },
  {
    name: 'Redis: pacing: each lane may fill the whole span',
    breaks: 'G7',
    file: redisPace,
    find: 'return math.floor(ceiling * math.max(input.limit, input.burstSpans * free) / (input.spansAWindow * input.limit))',
    replace: 'return math.floor(math.max(input.limit, input.burstSpans * free) / input.spansAWindow)',
    tests: redisLedger,
  },
  {
    name: 'Redis: pacing: only the whole batch finds room, not the one that fits',
    breaks: 'G7',
    file: reserve,
    find: 'window:paced(math.min(input.want, input.ceiling - window.total), input.least, input.ceiling)',
    replace:
      'math.min(input.want, input.ceiling - window.total); if input.spanMs and window:pacedUntil(granted, input.ceiling) then granted = 0 end',
    tests: redisLedger,
  },
  {
    name: 'Redis: pacing: a span in which nothing went lets nothing go that is larger than its part',
    breaks: 'G7',
    file: redisPace,
    find: 'if recent == 0 or wanted <=',
    replace: 'if wanted <=',
    tests: redisLedger,
  },
]
