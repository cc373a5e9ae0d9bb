/** The contract of dead letters: list, read, plan, run. */
import * as z from 'zod'
import { count, time } from './common.ts'
import { answer } from './operation.ts'

const listed = {
  key: z.string(),
  reason: z.string(),
  source: z.string().optional(),
  at: time.optional(),
  firstSeenAt: time.optional(),
  attempts: count.optional(),
  detail: z.string().optional().describe("Target's own words, or why it could not be mapped"),
  visitor: z.string().optional().describe('Keyed hash'),
}

export const letters = answer(
  'Letters',
  z.object({ letters: z.array(z.object(listed)), cursor: z.string().optional() }),
)

export const letter = answer(
  'Letter',
  z.object({
    ...listed,
    unreadable: z.string().optional(),
    update: z
      .object({
        visitor: z.record(z.string(), z.union([z.string(), count])),
        attributes: z.array(z.object({ name: z.string(), value: z.string().optional(), characters: count.optional() })),
        occurredAt: time,
      })
      .optional(),
    raw: z.string().optional(),
    rawCharacters: count.optional(),
    eventId: z.string().optional(),
  }),
)

export const plan = answer(
  'Plan',
  z.object({
    plan: z.string(),
    action: z.enum(['replay', 'remap', 'drop']),
    letters: count,
    updates: count.optional(),
    calls: count.optional(),
    superseded: count.optional().describe('Updates that a newer value supersedes'),
    doneBy: time.optional(),
    expiresAt: time,
  }),
)

export const planRun = answer(
  'PlanRun',
  z.object({
    plan: z.string(),
    state: z.enum(['planned', 'running', 'done', 'cancelled']),
    done: count,
    of: count,
    failed: count,
  }),
)
