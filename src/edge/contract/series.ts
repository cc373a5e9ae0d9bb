/** The contract of what was counted. */
import * as z from 'zod'
import { seriesQuery } from '../routes/admin/series.ts'
import { operatorProblems } from './admin.ts'
import { counts, time } from './common.ts'
import { answer, type Operation } from './operation.ts'

const linesOf = (what: string) => z.record(z.string(), counts).describe(`By ${what} and name`)

export const series = answer(
  'Series',
  z.object({
    step: z.int().describe('Seconds'),
    slots: z.array(z.object({ at: time, counts: linesOf('source'), byLane: linesOf('lane') })),
  }),
)

export const seriesOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/admin/api/series',
    id: 'getSeries',
    summary: 'What was counted, by time, source and lane: 72 h at most',
    access: 'viewer',
    query: seriesQuery,
    answers: { 200: series },
    problems: [400, ...operatorProblems],
  },
]
