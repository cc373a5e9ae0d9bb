/** Your sources. Each takes webhooks at `POST /hooks/<name>`, with its secrets in `HOOK_SECRET_<NAME>`. */
import { eventTime, id, source, standardWebhooks, text } from 'target-relay'
import * as z from 'zod'

export const sources = [
  source('call-centre', {
    // Who sends: a preset of its sender, or one of the other schemes.
    auth: standardWebhooks(),
    // What it sends. What does not fit is set aside whole, and can be mapped again.
    schema: z.object({ caseId: id(), customer: id(), outcome: text(), at: eventTime() }),
    // What that changes in a profile.
    map: (e) => ({
      id: e.caseId,
      visitor: { thirdPartyId: e.customer },
      occurredAt: e.at,
      attributes: { lastCallOutcome: e.outcome },
    }),
    // Made up; `lint`, `map`, `sign` and `dev` use it.
    sample: { caseId: 'case-1', customer: '123456', outcome: 'resolved', at: '2026-11-24T10:00:00Z' },
  }),
]
