/** The contract of operators: steering, visitors, the ledger's state. */
import * as z from 'zod'
import { visitorBody } from '../routes/admin/bodies.ts'
import { stateBody, stateQuery } from '../routes/admin/ledger.ts'
import { accountBody, spentBody } from '../routes/admin/steering.ts'
import { eraseBody, visitorQuestion } from '../routes/admin/visitor.ts'
import { count, counts, listed, time, timeMs } from './common.ts'
import { answer, documentedAs, type Operation, refTo, request } from './operation.ts'

documentedAs.set(visitorBody.shape.visitor, refTo('Visitor'))

/** What every route of operators may answer. */
export const operatorProblems = [401, 404, 503]
/** What those that change something may answer, too. */
export const actProblems = [400, 401, 403, 404, 415, 503]
/** And those that take a body. */
export const bodyProblems = [400, 401, 403, 404, 408, 413, 415, 422, 503]

export const usage = answer(
  'Usage',
  z.object({
    limit: count,
    used: count,
    remaining: count,
    nextFreeAtMs: timeMs.optional(),
    health: z.looseObject({
      paused: z.boolean(),
      breaker: z.looseObject({ cause: z.string(), sinceMs: timeMs }).optional(),
    }),
    buckets: z.array(z.tuple([timeMs, count])),
    counters: counts,
    totals: z.record(z.string(), counts).describe('By source and lane, and name'),
    leads: z.record(z.string(), z.number()),
    lostAtMs: timeMs.optional(),
    clock: z.object({ jumpedByMs: z.number() }).optional(),
  }),
)

export const paused = answer('Paused', z.object({ paused: z.boolean() }))

export const closed = answer(
  'BreakerClosed',
  z.object({ closed: z.boolean().describe('Whether the breaker was open') }),
)

export const audit = answer(
  'Audit',
  z.object({
    acts: z.array(
      z.object({
        at: time,
        who: z.string(),
        role: z.enum(['admin', 'view']),
        what: z.string(),
        details: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
      }),
    ),
  }),
)

export const report = answer(
  'FlushReport',
  z.object({
    read: count,
    merged: count,
    superseded: count,
    replayed: count,
    calls: count,
    callsSaved: count,
    deferredAgain: count,
    dead: count,
    unreadable: count,
    skipped: count,
    quotaLeft: count.optional(),
    retryAtMs: timeMs.optional(),
    platformOperations: count.optional().describe('After so many the platform refused one more'),
    platformCalls: count.optional(),
    runsTogether: count.optional().describe('Runs that took part, where there were several'),
    durationMs: z.number(),
    stopped: z.string(),
  }),
)

export const erased = answer(
  'Erased',
  z.object({
    entries: count,
    deadLetters: count,
    mentioned: count,
    unreadable: count,
    complete: z.boolean(),
    cursor: z.string().optional(),
    todo: z.string().optional(),
  }),
)

export const whereabouts = answer(
  'Whereabouts',
  z.object({
    attributes: z.array(
      z.object({
        name: z.string(),
        deliveredAt: time.optional(),
        openAt: time.optional(),
        waitingAt: z.array(time),
      }),
    ),
    more: z.literal(true).optional(),
    entries: count,
    unreadable: count,
    complete: z.boolean(),
    heldUntil: time.optional(),
    waiting: z.array(
      z.object({
        at: time,
        firstSeenAt: time,
        source: z.string(),
        names: z.array(z.string()),
        reason: z.string().optional(),
      }),
    ),
    dead: z.array(z.object(listed)),
    deadMore: z.literal(true).optional(),
    history: z
      .array(
        z.object({
          at: time,
          what: z.string(),
          receivedAt: time.optional(),
          source: z.string().optional(),
          names: z.array(z.string()).optional(),
          reason: z.string().optional(),
          merged: count.optional(),
        }),
      )
      .describe('Oldest first'),
    inTarget: z
      .object({
        kind: z.enum(['found', 'unknown', 'denied', 'failed']),
        status: z.int().optional(),
        attributes: z
          .array(
            z.object({
              name: z.string(),
              modifiedAt: z.string().optional(),
              value: z.string().optional(),
              characters: count.optional(),
            }),
          )
          .optional(),
        more: z.literal(true).optional(),
      })
      .optional()
      .describe('Values for an admin only'),
  }),
)

const state = answer(
  'LedgerState',
  z.looseObject({ part: z.looseObject({}), cursor: z.string().optional(), hashKey: z.string() }),
)

export const adminOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/admin/api/flush',
    id: 'flush',
    summary: 'One run of the batch runner, now',
    access: 'admin',
    answers: { 200: report },
    problems: actProblems,
  },
  {
    method: 'post',
    path: '/admin/api/pause',
    id: 'pause',
    summary: 'Stops all calls to Target',
    access: 'admin',
    answers: { 200: paused },
    problems: actProblems,
  },
  {
    method: 'post',
    path: '/admin/api/resume',
    id: 'resume',
    summary: 'Lets calls go again',
    access: 'admin',
    answers: { 200: paused },
    problems: actProblems,
  },
  {
    method: 'post',
    path: '/admin/api/breaker/close',
    id: 'closeBreaker',
    summary: 'Lets calls go again that the breaker holds back',
    access: 'admin',
    answers: { 200: closed },
    problems: actProblems,
  },
  {
    method: 'post',
    path: '/admin/api/clock/confirm',
    id: 'confirmClock',
    summary: "The ledger's clock is right as it is",
    access: 'admin',
    answers: { 200: usage },
    problems: actProblems,
  },
  {
    method: 'post',
    path: '/admin/api/account/confirm',
    id: 'confirmAccount',
    summary: 'The client code that the ledger bears was a typo',
    access: 'admin',
    body: request('Account', accountBody),
    answers: { 200: usage },
    problems: bodyProblems,
  },
  {
    method: 'post',
    path: '/admin/api/quota/spent',
    id: 'restateQuota',
    summary: 'How many calls were really made in the window',
    access: 'admin',
    body: request('Spent', spentBody),
    answers: { 200: usage },
    problems: bodyProblems,
  },
  {
    method: 'post',
    path: '/admin/api/erase',
    id: 'eraseVisitor',
    summary: 'Removes a visitor from registers, backlog and dead letters',
    access: 'admin',
    body: request('Erase', eraseBody),
    answers: { 200: erased },
    problems: bodyProblems,
  },
  {
    method: 'post',
    path: '/admin/api/visitor',
    id: 'findVisitor',
    summary: 'What is known of a visitor: names and times, no values',
    access: 'viewer',
    body: request('VisitorQuestion', visitorQuestion),
    answers: { 200: whereabouts },
    problems: bodyProblems,
  },
  {
    method: 'get',
    path: '/admin/api/ledger/state',
    id: 'exportLedger',
    summary: "A part of the ledger's state",
    access: 'admin',
    query: stateQuery,
    answers: { 200: state },
    problems: [400, 403, ...operatorProblems],
  },
  {
    method: 'post',
    path: '/admin/api/ledger/state',
    id: 'importLedger',
    summary: "Takes in a part of a ledger's state",
    access: 'admin',
    body: request('LedgerPart', stateBody),
    answers: { 200: usage },
    problems: bodyProblems,
  },
  {
    method: 'post',
    path: '/admin/api/ledger/restored',
    id: 'ledgerRestored',
    summary: 'The ledger was restored from a backup',
    access: 'admin',
    answers: { 200: usage },
    problems: actProblems,
  },
  {
    method: 'get',
    path: '/admin/api/audit',
    id: 'getAudit',
    summary: 'What operators did, newest first',
    access: 'viewer',
    answers: { 200: audit },
    problems: operatorProblems,
  },
]
