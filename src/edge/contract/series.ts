/** The contract of what was counted. */
import { seriesQuery } from '../routes/admin/series.ts'
import { operatorProblems } from './admin.ts'
import type { Operation } from './operation.ts'
import { series } from './status.ts'

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
