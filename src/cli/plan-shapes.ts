/** Plans as a relay answers them. */
import * as z from 'zod'
import { count, time } from '../edge/contract/common.ts'

export const plan = z.object({
  plan: z.string(),
  action: z.enum(['replay', 'remap', 'drop']),
  letters: count,
  updates: count.optional(),
  calls: count.optional(),
  superseded: count.optional(),
  doneBy: time.optional(),
  expiresAt: time,
})

export const planRun = z.object({
  plan: z.string(),
  state: z.enum(['planned', 'running', 'done', 'cancelled']),
  done: count,
  of: count,
  failed: count,
})
