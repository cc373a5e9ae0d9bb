/** The contract of seals: what each key of `BACKLOG_KEYS` seals. */
import * as z from 'zod'
import { sealsBody, sealsQuery } from '../routes/admin/seals.ts'
import { bodyProblems, operatorProblems } from './admin.ts'
import { count } from './common.ts'
import { answer, type Operation, request } from './operation.ts'

export const seals = answer(
  'Seals',
  z.object({
    byKey: z.record(z.string(), z.object({ entries: count, dead: count })),
    first: z.string().optional(),
    resealed: count,
    failed: count,
    complete: z.boolean(),
    cursor: z.string().optional(),
  }),
)

export const sealOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/admin/api/seals',
    id: 'getSeals',
    summary: 'What each key of BACKLOG_KEYS seals; go on with the cursor',
    access: 'viewer',
    query: sealsQuery,
    answers: { 200: seals },
    problems: [400, 422, ...operatorProblems],
  },
  {
    method: 'post',
    path: '/admin/api/seals',
    id: 'sealAnew',
    summary: 'Seals anew under the first key; go on with the cursor',
    access: 'admin',
    body: request('SealAnew', sealsBody),
    answers: { 200: seals },
    problems: bodyProblems,
  },
]
