/**
 * Your sources. Each takes webhooks at `POST /hooks/<name>`, with its secrets in `HOOK_SECRET_<NAME>`.
 *
 * The four are the cases of Adobe's own page: change them to what your systems send.
 */
import * as z from 'zod'
import { bearer, standardWebhooks } from './edge/auth/index.ts'
import { eventTime, id, text } from './edge/source/schemas.ts'
import { source } from './edge/source/source.ts'
import type { Source } from './edge/source/types.ts'

export const sources: readonly Source[] = [
  source('call-centre', {
    auth: standardWebhooks(),
    schema: z.object({ caseId: id(), customer: id(), outcome: text(), at: eventTime() }),
    map: (e) => ({
      id: e.caseId,
      visitor: { thirdPartyId: e.customer },
      occurredAt: e.at,
      attributes: { lastCallOutcome: e.outcome },
    }),
    sample: { caseId: 'case-1', customer: '123456', outcome: 'resolved', at: '2026-11-24T10:00:00Z' },
  }),

  source('loan', {
    auth: standardWebhooks(),
    lane: 'high',
    schema: z.object({
      loan: id(),
      customer: id(),
      status: z.enum(['applied', 'approved', 'funded', 'declined']),
      amount: z.number(),
      at: eventTime(),
    }),
    map: (e) => ({
      id: `${e.loan}-${e.status}`,
      visitor: { thirdPartyId: e.customer },
      occurredAt: e.at,
      attributes: { loanStatus: e.status, loanAmount: e.amount },
    }),
    // What else a mapping might give, by mistake, is not sent.
    attributes: ['loanStatus', 'loanAmount'],
    sample: { loan: 'loan-1', customer: '123456', status: 'funded', amount: 25_000, at: '2026-11-24T10:00:00Z' },
  }),

  source('loyalty', {
    auth: standardWebhooks(),
    schema: z.object({ card: id(), store: z.object({ city: text(), id: id() }), points: z.int(), at: eventTime() }),
    // No id of its own: the webhook's is taken.
    map: (e) => ({
      visitor: { thirdPartyId: e.card },
      occurredAt: e.at,
      attributes: { loyaltyPoints: e.points, lastStore: e.store },
    }),
    sample: { card: '123456', store: { city: 'Bern', id: 'store-7' }, points: 120, at: '2026-11-24T10:00:00Z' },
  }),

  source('kiosk', {
    auth: bearer(),
    schema: z.object({ session: id(), pcId: id().nullable(), page: z.string(), at: eventTime() }),
    // A kiosk that nobody has signed in to changes no profile.
    map: (e) =>
      e.pcId === null
        ? null
        : { id: e.session, visitor: { pcId: e.pcId }, occurredAt: e.at, attributes: { lastKioskPage: e.page } },
    sample: { session: 'session-1', pcId: '1368007744041-575948.01_00', page: '/rates', at: '2026-11-24T10:00:00Z' },
  }),
]
