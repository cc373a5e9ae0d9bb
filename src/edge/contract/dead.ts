/** The contract of dead letters: list, read, plan, run. */
import * as z from 'zod'
import { listBody, listQuery, readQuery } from '../routes/admin/dead.ts'
import { bodyProblems, operatorProblems } from './admin.ts'
import { count, time } from './common.ts'
import { answer, documentedAs, type Operation, refTo, request } from './operation.ts'

documentedAs.set(listBody.shape.visitor, { oneOf: [{ type: 'string' }, refTo('Visitor')] })

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

export const deadOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/admin/api/dead',
    id: 'listDead',
    summary: 'Dead letters, newest first',
    access: 'viewer',
    query: listQuery,
    answers: { 200: letters },
    problems: [400, ...operatorProblems],
  },
  {
    method: 'post',
    path: '/admin/api/dead/list',
    id: 'findDead',
    summary: 'The same, with the filter in the body, where a visitor may be named by its id',
    access: 'viewer',
    body: request('DeadFilter', listBody),
    answers: { 200: letters },
    problems: bodyProblems,
  },
  {
    method: 'get',
    path: '/admin/api/dead/{version}/{name}',
    id: 'readDead',
    summary: 'One dead letter by its key, masked; with reveal=1 as it is',
    access: 'viewer',
    query: readQuery,
    answers: { 200: letter },
    problems: [400, ...operatorProblems],
  },
]
