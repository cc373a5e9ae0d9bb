/** The contract of what is configured of sources. */
import * as z from 'zod'
import { trialBody } from '../routes/admin/sources.ts'
import { bodyProblems, operatorProblems } from './admin.ts'
import { count } from './common.ts'
import { answer, type Operation, request } from './operation.ts'
import { trial } from './senders.ts'

export const sources = answer(
  'Sources',
  z.object({
    sources: z.array(
      z.object({
        name: z.string(),
        scheme: z.string().describe('How its sender is authenticated'),
        format: z.string(),
        lane: z.string(),
        methods: z.array(z.string()),
        secrets: count.describe('How many are set'),
        problem: z.string().optional().describe('What is wrong with them'),
        sample: z.boolean().describe('Whether it has one'),
        share: z.number().optional(),
        skipUnchanged: z.literal(true).optional().describe('It makes no call for a value that Target has'),
        delaySeconds: z.number().optional(),
        attributes: z.array(z.string()).optional().describe('The names that it may set'),
      }),
    ),
  }),
)

export const sourceOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/admin/api/sources',
    id: 'listSources',
    summary: 'What is configured of each source',
    access: 'viewer',
    answers: { 200: sources },
    problems: operatorProblems,
  },
  {
    method: 'post',
    path: '/admin/api/sources/{source}/map',
    id: 'mapEvent',
    summary: 'What a source would make of an event, or of its sample; nothing is sent or kept',
    access: 'admin',
    body: request('TrialAsked', trialBody),
    answers: { 200: trial },
    problems: bodyProblems,
  },
]
