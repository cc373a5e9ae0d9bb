/** The contract of operators: dead letters. */
import * as z from 'zod'
import { deadReasons } from '../../core/backlog/port.ts'
import { listBody, listQuery, readQuery } from '../routes/admin/dead.ts'
import { bodyProblems, operatorProblems } from './admin.ts'
import { count, time } from './common.ts'
import { answer, documentedAs, type Operation, refTo, request } from './operation.ts'

documentedAs.set(listBody.shape.visitor, { oneOf: [{ type: 'string' }, refTo('Visitor')] })

const listed = {
  key: z.string(),
  reason: z.enum([...deadReasons, 'sealed']),
  source: z.string().optional(),
  at: time.optional(),
  firstSeenAt: time.optional(),
  attempts: count.optional(),
  detail: z.string().optional(),
  visitor: z.string().optional().describe('The keyed hash'),
}

export const deadList = answer(
  'DeadLetters',
  z.object({ letters: z.array(z.object(listed)), cursor: z.string().optional() }),
)

export const deadLetter = answer(
  'DeadLetter',
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

export const deadOperations: readonly Operation[] = [
  {
    method: 'get',
    path: '/admin/api/dead',
    id: 'listDead',
    summary: 'Dead letters, newest first',
    access: 'viewer',
    query: listQuery,
    answers: { 200: deadList },
    problems: [400, ...operatorProblems],
  },
  {
    method: 'post',
    path: '/admin/api/dead/list',
    id: 'findDead',
    summary: 'The same, with the filter in the body, where a visitor may be named by its id',
    access: 'viewer',
    body: request('DeadFilter', listBody),
    answers: { 200: deadList },
    problems: bodyProblems,
  },
  {
    method: 'get',
    path: '/admin/api/dead/{version}/{name}',
    id: 'readDead',
    summary: 'One dead letter by its key, masked; with reveal=1 as it is',
    access: 'viewer',
    query: readQuery,
    answers: { 200: deadLetter },
    problems: [400, ...operatorProblems],
  },
]
