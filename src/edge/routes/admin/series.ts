/** `/admin/api/series`: what was counted, by time, source and lane. */
import { zValidator } from '@hono/zod-validator'
import { Hono } from 'hono'
import * as z from 'zod'
import { given } from '../../../core/given.ts'
import { slotMs, slotsShownMs } from '../../../core/ledger/rules/figures.ts'
import { readTime } from '../../../core/time.ts'
import { refuse } from '../../http/valid.ts'
import type { PartsOf } from '../parts.ts'

const slotSeconds = slotMs / 1_000

export const seriesQuery = z.strictObject({
  from: z.string().transform(readTime).pipe(z.number()).optional(),
  step: z
    .string()
    .regex(/^[1-9]\d{0,5}$/)
    .transform(Number)
    .pipe(
      z
        .number()
        .multipleOf(slotSeconds)
        .max(slotsShownMs / 1_000),
    )
    .optional(),
})

export function seriesApi(partsOf: PartsOf<'operator'>): Hono {
  return new Hono({ strict: false }).get(
    '/series',
    zValidator(
      'query',
      seriesQuery,
      refuse('malformed', {
        detail: `The query parameters are from, a time, and step, seconds: ${slotSeconds} or a multiple of it, at most ${slotsShownMs / 1_000}.`,
      }),
    ),
    async (c) => {
      const { from, step } = c.req.valid('query')
      return c.json(
        await partsOf(c).operator.series(given({ fromMs: from, stepMs: step === undefined ? step : step * 1_000 })),
      )
    },
  )
}
