/** Made-up events of the four example sources, in the order they happened. */
import { type HookRequest, kioskHook, signedHook } from '../../test/support/sender.ts'

export interface DemoEvent {
  readonly source: string
  /** `pc:` or `3p:` and the id, as the emulator names visitors. */
  readonly visitor: string
  readonly occurredAtMs: number
  /** The expected profile, written independently of the relay's mappings. */
  readonly expected: Readonly<Record<string, string>>
  readonly request: HookRequest
}

const outcomes = ['resolved', 'escalated', 'call back', 'voicemail']
const cities = ['Bern', 'Zürich', 'Genève', 'Sankt Gallen', '北京']
const statuses = ['applied', 'approved', 'funded'] as const
const pages = ['/offers?tab=1&x=2', '/rates', '/branches#near', '100% cashback']

/** `count` events for `visitors` customers; no two of one customer at the same millisecond. */
export function makeEvents(count: number, visitors: number, startMs: number): readonly DemoEvent[] {
  return Array.from({ length: count }, (_, n) => {
    const customer = `customer-${n % visitors}`
    const occurredAtMs = startMs + n * 7
    const at = new Date(occurredAtMs).toISOString()
    const pick = <T>(items: readonly T[]) => items[Math.floor(n / visitors) % items.length] as T
    switch (['call-centre', 'loan', 'loyalty', 'kiosk'][(n + Math.floor(n / visitors)) % 4]) {
      case 'call-centre': {
        const outcome = pick(outcomes)
        const request = signedHook('call-centre', `msg-${n}`, { caseId: `case-${n}`, customer, outcome, at })
        return {
          source: 'call-centre',
          visitor: `3p:${customer}`,
          occurredAtMs,
          expected: { lastCallOutcome: outcome },
          request,
        }
      }
      case 'loan': {
        const status = pick(statuses)
        const request = signedHook('loan', `msg-${n}`, {
          loan: `loan-${n}`,
          customer,
          status,
          amount: 1_000 + n / 4,
          at,
        })
        return {
          source: 'loan',
          visitor: `3p:${customer}`,
          occurredAtMs,
          expected: { loanStatus: status, loanAmount: String(1_000 + n / 4) },
          request,
        }
      }
      case 'loyalty': {
        const city = pick(cities)
        const request = signedHook('loyalty', `msg-${n}`, {
          card: customer,
          store: { city, id: `store-${n % 9}` },
          points: n * 10,
          at,
        })
        const expected = { loyaltyPoints: String(n * 10), 'lastStore.city': city, 'lastStore.id': `store-${n % 9}` }
        return { source: 'loyalty', visitor: `3p:${customer}`, occurredAtMs, expected, request }
      }
      default: {
        const pcId = `${1_368_007_744_000 + (n % visitors)}-575948.01_00`
        const page = pick(pages)
        const request = kioskHook({ session: `session-${n}`, pcId, page, at })
        return { source: 'kiosk', visitor: `pc:${pcId}`, occurredAtMs, expected: { lastKioskPage: page }, request }
      }
    }
  })
}
