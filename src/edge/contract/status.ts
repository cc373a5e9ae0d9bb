/** The contract of what an operator reads at a glance: status, backlog, figures. */
import * as z from 'zod'
import { count, counts, time } from './common.ts'
import { answer } from './operation.ts'

export const census = answer(
  'Backlog',
  z.object({
    waiting: count,
    visitors: count.optional(),
    calls: count.optional().describe('Once merged'),
    oldestAt: time.optional(),
    bySource: counts,
    byReason: counts,
    countedAt: time.optional(),
    complete: z.boolean(),
    doneBy: time.optional().describe('By the forecast'),
  }),
)

export const deadCounts = answer('DeadCounts', z.object({ count, byReason: counts, bySource: counts }))

const quota = z.object({
  used: count,
  limit: count,
  byLane: counts.optional(),
  nextFreeAt: time.optional(),
  firstDeferralAt: time.optional().describe('At the pace of the last hour'),
})

export const status = answer(
  'Status',
  z.object({
    quota,
    backlog: census.optional(),
    dead: deadCounts.optional(),
    today: z.record(z.string(), counts).optional().describe('The last 24 h, by source'),
    breaker: z.object({ cause: z.string(), since: time }).optional(),
    paused: z.boolean(),
    runs: z.array(z.looseObject({ at: time, stopped: z.string() })).optional(),
    checks: z.record(z.string(), z.string()),
  }),
)

export const series = answer(
  'Series',
  z.object({
    step: count.describe('Seconds'),
    slots: z.array(z.object({ at: time, counts: z.record(z.string(), counts) })),
  }),
)
