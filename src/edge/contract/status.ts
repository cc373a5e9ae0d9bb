/** The contract of what an operator reads at a glance: status, backlog, figures. */
import * as z from 'zod'
import { operatorProblems, usage } from './admin.ts'
import { count, counts, time } from './common.ts'
import { answer, type Operation } from './operation.ts'

export const census = answer(
  'Backlog',
  z.object({
    waiting: count,
    visitors: count.optional(),
    calls: count.optional().describe('At most, once merged'),
    callsExact: z.boolean().optional().describe('Whether there are exactly as many'),
    oldestAt: time.optional(),
    bySource: counts,
    byReason: counts,
    countedAt: time.optional(),
    complete: z.boolean(),
    doneBy: time.optional().describe('By the forecast'),
  }),
)

export const deadCounts = answer(
  'DeadCounts',
  z.object({ count, byReason: counts, bySource: counts, countedAt: time.optional() }),
)

const quota = z.object({
  used: count,
  limit: count,
  byLane: counts.optional().describe('Calls of the last 24 h, by lane; a call by GET takes two units of used'),
  nextFreeAt: time.optional(),
  firstDeferralAt: time.optional().describe('At the pace of the last hour'),
  liveUnitsPerHour: count.optional().describe('That pace: units of the last hour, without those of replay'),
  ceilings: counts.optional().describe('By lane: how many units may count in all for one more to be granted'),
  span: z
    .object({ used: count, allowed: counts })
    .optional()
    .describe('With PACE=even: units in the 24th of the window that ends now, and how many each lane lets it have'),
  ahead: z
    .array(
      z.object({
        at: time,
        counted: count.describe('Of the units of now those that still count then'),
        used: count.optional().describe('By the forecast'),
        waiting: count.optional().describe('Units, by the forecast'),
      }),
    )
    .optional()
    .describe('For each hour of the next day'),
})

export const status = z.object({
  quota,
  backlog: census.optional(),
  dead: deadCounts.optional(),
  today: z.record(z.string(), counts).optional().describe('The last 24 h, by source'),
  breaker: z.object({ cause: z.string(), since: time }).optional(),
  paused: z.boolean(),
  lastRunAt: time.optional(),
  runs: z
    .array(z.looseObject({ at: time, stopped: z.string() }))
    .optional()
    .describe('Of those that did something, the newest first'),
  checks: z.record(z.string(), z.string()),
})

/** With what it said before there was more. */
const wholeStatus = answer('Status', z.object({ ...usage.shape, ...status.shape }))

export const series = answer(
  'Series',
  z.object({
    step: count.describe('Seconds'),
    slots: z.array(
      z.object({
        at: time,
        counts: z.record(z.string(), counts).describe('By source and name'),
        byLane: z.record(z.string(), counts).describe('By lane and name'),
        waiting: count.optional().describe('The most that waited when a run ended'),
        oldestAt: time.optional(),
      }),
    ),
  }),
)

export const statusOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/admin/api/status',
    id: 'getStatus',
    summary: 'How the relay is doing',
    access: 'viewer',
    answers: { 200: wholeStatus },
    problems: operatorProblems,
  },
  {
    method: 'get',
    path: '/admin/api/backlog',
    id: 'getBacklog',
    summary: 'What waits, why, and until when',
    access: 'viewer',
    answers: { 200: census },
    problems: operatorProblems,
  },
]

export type BacklogAnswer = z.input<typeof census>
export type StatusAnswer = z.input<typeof status>
