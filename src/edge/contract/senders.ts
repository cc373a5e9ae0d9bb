/** The contract of senders: own systems, webhooks, and the shape of Target's own API. */
import * as z from 'zod'
import { deferReasons, setAsideReasons } from '../../core/update/reasons.ts'
import { hookQuery } from '../routes/hooks.ts'
import { batchBody, updateBody, updatesQuery } from '../routes/updates.ts'
import { count, time } from './common.ts'
import { answer, documentedAs, type Operation, refTo, request } from './operation.ts'

documentedAs.set(updateBody.shape.visitor, refTo('Visitor'))
documentedAs.set(updateBody.shape.attributes, {
  type: 'object',
  minProperties: 1,
  description: 'Values by name, without `profile.`: text, numbers, booleans, lists, objects (dotted names); no null',
})
documentedAs.set(updateBody.shape.occurredAt, {
  type: ['string', 'number'],
  description: 'ISO 8601 with an offset, or epoch seconds or milliseconds',
})

request('Update', updateBody)
const updates = request('Updates', z.union([updateBody, batchBody]))

const id = z.string().optional()
const result = answer(
  'Result',
  z.union([
    z.object({ id, status: z.literal('submitted'), calls: count }),
    z.object({ id, status: z.literal('deferred'), reason: z.enum(deferReasons) }),
    z.object({ id, status: z.enum(['duplicate', 'superseded', 'unchanged', 'ignored', 'quarantined']) }),
    z.object({ id, status: z.literal('rejected'), detail: z.string().optional().describe("Target's own words") }),
    z.object({ id, status: z.literal('set_aside'), reason: z.enum(setAsideReasons) }),
  ]),
)
const results = z.object({ results: z.array(result) })
const call = z.object({
  method: z.enum(['GET', 'POST']),
  url: z.string(),
  body: z.string().optional(),
  bytes: count,
  units: count,
})
export const trial = answer(
  'Trial',
  z.object({
    dryRun: z.literal(true),
    status: z.enum(['mapped', 'ignored', 'unmappable']),
    reason: z.string().optional(),
    updates: z
      .array(
        z.object({
          id,
          visitor: z.object({ pcId: z.string().optional(), thirdPartyId: z.string().optional() }),
          attributes: z.array(z.object({ name: z.string(), value: z.string() })),
          occurredAt: time,
          notBefore: time.optional(),
          calls: z.array(call),
          units: count,
        }),
      )
      .optional(),
    units: count.optional(),
  }),
)
const taken = answer('Taken', z.union([result, results, trial]))
const kept = answer('Kept', z.union([result, results]))
const greeting = answer(
  'Greeting',
  z
    .looseObject({})
    .describe('What the sender asks to be answered in its handshake, or the reply that its source wants'),
)
const received = answer('Received', z.union([taken, greeting]))

const xml = { 'application/xml': z.string() }
const form = { 'application/x-www-form-urlencoded': z.record(z.string(), z.string()) }
const dropInProblems = [400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 503]

export const senderOperations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/updates',
    id: 'sendUpdates',
    summary: 'One update, or up to 100',
    access: 'system',
    query: updatesQuery,
    body: updates,
    answers: { 200: taken, 202: kept },
    problems: [400, 401, 403, 405, 408, 409, 413, 415, 422, 503],
  },
  webhook('post', 'receiveWebhook', "A source's webhook, authenticated as its sender signs"),
  webhook('put', 'receiveWebhookByPut', 'The same, of sources that take PUT'),
  handshake('get', 'greetSender', "A sender's question whether the address is ours, where its source answers one"),
  handshake('options', 'greetCloudEvents', 'The same, as CloudEvents has it'),
  {
    method: 'get',
    path: '/m2/{client}/profile/update',
    id: 'updateProfileByQuery',
    summary: "The shape of Target's own API; answers its XML, also for errors",
    access: 'system',
    query: z.looseObject({ mboxPC: z.string().optional(), mbox3rdPartyId: z.string().optional() }),
    answers: { 200: xml, 202: xml },
    problems: dropInProblems,
  },
  {
    method: 'post',
    path: '/m2/{client}/profile/update',
    id: 'updateProfileByForm',
    summary: 'The same as a form',
    access: 'system',
    query: z.looseObject({ mboxPC: z.string().optional(), mbox3rdPartyId: z.string().optional() }),
    body: form,
    bodyOptional: true,
    answers: { 200: xml, 202: xml },
    problems: dropInProblems,
  },
]

function webhook(method: 'post' | 'put', id: string, summary: string): Operation {
  return {
    method,
    path: '/hooks/{source}',
    id,
    summary,
    access: 'sender',
    query: hookQuery,
    body: { '*/*': z.unknown() },
    answers: { 200: received, 202: kept, 204: 'empty' },
    problems: [400, 401, 403, 404, 405, 408, 413, 503],
  }
}

function handshake(method: 'get' | 'options', id: string, summary: string): Operation {
  return {
    method,
    path: '/hooks/{source}',
    id,
    summary,
    access: 'anybody',
    query: hookQuery,
    answers: { 200: { 'application/json': greeting, 'text/plain': z.string() }, 204: 'empty' },
    problems: [400, 403, 404, 405, 408, 413, 503],
  }
}
