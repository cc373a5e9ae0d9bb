/** The contract of dead letters: list, read, plan, run. */
import * as z from 'zod'
import { exportQuery, filterBody, listBody, listQuery, planBody, readQuery, runBody } from '../routes/admin/dead.ts'
import { actProblems, bodyProblems, operatorProblems } from './admin.ts'
import { count, counts, listed, time } from './common.ts'
import { answer, documentedAs, type Operation, refTo, request } from './operation.ts'

const anyVisitor = { oneOf: [{ type: 'string' }, refTo('Visitor')] }
documentedAs.set(filterBody.shape.visitor, anyVisitor)
documentedAs.set(listBody.shape.visitor, anyVisitor)

export const letters = answer(
  'Letters',
  z.object({ letters: z.array(z.object(listed)), cursor: z.string().optional() }),
)

const update = answer(
  'LetterUpdate',
  z.object({
    visitor: z.record(z.string(), z.union([z.string(), count])),
    attributes: z.array(z.object({ name: z.string(), value: z.string().optional(), characters: count.optional() })),
    occurredAt: time,
  }),
)

export const letter = answer(
  'Letter',
  z.object({
    ...listed,
    unreadable: z.string().optional(),
    update: update.optional(),
    raw: z.string().optional(),
    rawCharacters: count.optional(),
    eventId: z.string().optional(),
    mapped: z
      .object({ reason: z.string().optional(), updates: z.array(update).optional() })
      .optional()
      .describe('What its source makes of it now'),
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
    sampled: count.optional().describe('Updates, drawn at random, of which superseded was told'),
    doneBy: time.optional().describe('When it is through with what waits now, if it is run at once: by the forecast'),
    expiresAt: time,
    estimated: z.literal(true).optional().describe('sampled is not all of them: superseded is an estimate'),
    stay: counts.describe('Letters that would stay, by why'),
    complete: z.boolean().describe('The set is whole, and may be run'),
  }),
)

export const planRun = answer(
  'PlanRun',
  z.object({
    plan: z.string(),
    state: z.enum(['planning', 'planned', 'running', 'done', 'cancelled']),
    done: count,
    of: count,
    failed: count.describe('Letters that stay'),
    stay: counts.describe('Of them, by why'),
  }),
)

const planAndRun = answer('PlanState', z.object({ ...plan.shape, ...planRun.shape }))
export const plans = answer(
  'Plans',
  z.object({ plans: z.array(z.object({ action: plan.shape.action, ...planRun.shape })) }),
)
export const imported = answer('Imported', z.object({ kept: count, other: count, unreadable: count, foreign: count }))

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
    method: 'post',
    path: '/admin/api/dead/plan',
    id: 'planDead',
    summary: 'Fixes a set of dead letters and says what would be done with it; nothing is done',
    access: 'admin',
    body: request('PlanAsked', planBody),
    answers: { 200: plan },
    problems: bodyProblems,
  },
  {
    method: 'post',
    path: '/admin/api/dead/run',
    id: 'runPlan',
    summary: 'Does what was planned; it goes on with each flush',
    access: 'admin',
    body: request('RunAsked', runBody),
    answers: { 200: planRun },
    problems: bodyProblems,
  },
  {
    method: 'get',
    path: '/admin/api/dead/plans',
    id: 'listPlans',
    summary: 'The last plans, those under way among them',
    access: 'viewer',
    answers: { 200: plans },
    problems: operatorProblems,
  },
  {
    method: 'get',
    path: '/admin/api/dead/plans/{id}',
    id: 'getPlan',
    summary: 'How far a plan is',
    access: 'viewer',
    answers: { 200: planAndRun },
    problems: operatorProblems,
  },
  {
    method: 'post',
    path: '/admin/api/dead/plans/{id}/cancel',
    id: 'cancelPlan',
    summary: 'Ends a plan; what is done stays done',
    access: 'admin',
    answers: { 200: planRun },
    problems: actProblems,
  },
  {
    method: 'get',
    path: '/admin/api/dead/export',
    id: 'exportDead',
    summary: 'Dead letters whole, a line of JSON each; the last line says whether there are more',
    access: 'admin',
    query: exportQuery,
    answers: { 200: { 'application/x-ndjson': z.string() } },
    problems: [400, 403, ...operatorProblems],
  },
  {
    method: 'post',
    path: '/admin/api/dead/import',
    id: 'importDead',
    summary: 'Brings exported letters back; one that comes twice is kept once',
    access: 'admin',
    body: { 'application/x-ndjson': z.string() },
    answers: { 200: imported },
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
