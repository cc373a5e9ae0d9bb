/** The contract of alerts: what `ALERT_URL` is sent (Standard Webhooks). */
import * as z from 'zod'
import { time } from './common.ts'
import { answer, refTo } from './operation.ts'

answer(
  'Alert',
  z.object({
    type: z.string().describe('As docs/observability.md lists them; its end has .recovered behind it'),
    timestamp: time,
    data: z.record(z.string(), z.union([z.string(), z.number()])),
  }),
)

const headers = ['webhook-id', 'webhook-timestamp', 'webhook-signature']

/** What the document has under `webhooks`. */
export const alertWebhook = {
  post: {
    operationId: 'alert',
    summary: 'An alert, or its end',
    security: [],
    parameters: headers.map((name) => ({ name, in: 'header', required: true, schema: { type: 'string' } })),
    requestBody: { required: true, content: { 'application/json': { schema: refTo('Alert') } } },
    responses: { '2XX': { description: 'Taken' } },
  },
}
