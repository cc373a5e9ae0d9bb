/** What is counted, by source, lane and slot. */
import type { Mutant } from './mutant.ts'

const live = ['test/core/delivery/figures.test.ts']
const sql = ['test/core/ledger/sql/ledger.test.ts']
const redis = ['test/core/ledger/redis/ledger.test.ts']
const untold = ['test/core/ledger/untold.test.ts']
const figuresOfSql = 'src/core/ledger/sql/figures.ts'
const figuresOfRedis = 'src/core/ledger/redis/scripts/figures.ts'

export const figuresMutants: readonly Mutant[] = [
  {
    name: 'in SQL what is older than 72 h leaves the totals',
    breaks: 'G9',
    file: figuresOfSql,
    find: 'addTo(sql, totalsMs, String(line), countersOf(counts))',
    replace: 'countersOf(counts)',
    tests: sql,
  },
  {
    name: 'in Redis what is older than 72 h leaves the totals',
    breaks: 'G9',
    file: figuresOfRedis,
    find: "addTo(slotKey(slots, '0'), line, cjson.decode(counts))",
    replace: 'cjson.decode(counts)',
    tests: redis,
  },
  {
    name: 'in SQL old slots pile up',
    breaks: 'G9',
    file: figuresOfSql,
    find: 'if (addTo(sql, slotOf(nowMs), line, more)) fold(sql, nowMs)',
    replace: 'addTo(sql, slotOf(nowMs), line, more)',
    tests: ['test/core/ledger/figures.test.ts'],
  },
  {
    name: 'in Redis old slots pile up',
    breaks: 'G9',
    file: figuresOfRedis,
    find: "if redis.call('ZADD', slots, start, start) == 1 then fold(slots) end",
    replace: "redis.call('ZADD', slots, start, start)",
    tests: ['test/core/ledger/figures.test.ts'],
  },
  {
    name: 'in SQL a count replaces the one before',
    breaks: 'G9',
    file: figuresOfSql,
    find: 'row === undefined ? more : added(countersOf(row[',
    replace: 'row !== undefined ? more : added(countersOf(row?.[',
    tests: sql,
  },
  {
    name: 'in Redis a count replaces the one before',
    breaks: 'G9',
    file: figuresOfRedis,
    find: 'counts[name] = (counts[name] or 0) + count end\n  redis',
    replace: 'counts[name] = count end\n  redis',
    tests: redis,
  },
  {
    name: 'what an older version counted is forgotten',
    breaks: 'G9',
    file: figuresOfSql,
    find: 'older.length === 0 ? {}',
    replace: 'older.length >= 0 ? {}',
    tests: ['test/core/ledger/figures.test.ts'],
  },
  {
    name: 'what an older version counted on Redis is forgotten',
    breaks: 'G9',
    file: 'src/core/ledger/redis/answers.ts',
    find: 'listOf(counters).length === 0 ? {}',
    replace: 'listOf(counters).length >= 0 ? {}',
    tests: ['test/core/ledger/figures.test.ts'],
  },
  {
    name: 'a duplicate is counted nowhere',
    breaks: 'G9',
    file: 'src/core/delivery/settle.ts',
    find: 'if (await settle(all, counts, leads, 1)) return',
    replace: 'if (all.length === 0 || (await settle(all, counts, leads, 1))) return',
    tests: live,
  },
  {
    name: 'what the flush did is not told at its end',
    breaks: 'G9',
    file: 'src/cron/flush.ts',
    find: 'await tellRest(ledger, notes, parts.untold)',
    replace: 'await Promise.resolve()',
    tests: live,
  },
  {
    name: 'counts of a settle that failed are lost',
    breaks: 'G9',
    file: 'src/core/ledger/untold.ts',
    find: 'memory.untold = added(memory.untold, along)',
    replace: '',
    tests: untold,
  },
  {
    name: 'every source that ever was has figures of its own',
    breaks: 'G9',
    file: 'src/core/ledger/untold.ts',
    find: 'return sources === undefined || ',
    replace: 'return sources !== undefined || ',
    tests: untold,
  },
]
