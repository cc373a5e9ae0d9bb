/** A bill as a table of docs/costs.md. */
import { markdownTable } from '../bench/compare/summary.ts'
import type { Bill } from './relay.ts'

/** Lines of the log hold times, whose digits vary. */
const logStep = 50

type Column = readonly [heading: string, of: (bill: Bill) => number]

const upstash: readonly Column[] = [
  ['Upstash requests', ({ upstashRequests }) => upstashRequests],
  ['commands', ({ upstashCommands }) => upstashCommands],
]
const object: readonly Column[] = [
  ['object requests', ({ objectRequests }) => objectRequests],
  ['rows read', ({ rowsRead }) => rowsRead],
  ['rows written', ({ rowsWritten }) => rowsWritten],
]
const kv: readonly Column[] = [
  ['KV writes', ({ kvWrites }) => kvWrites],
  ['KV deletes', ({ kvDeletes }) => kvDeletes],
  ['KV lists', ({ kvLists }) => kvLists],
]

/** The table of one pair of ledger and backlog; what it never costs has no column. */
export function billTable(
  ledger: 'upstash' | 'object',
  store: 'kv' | 'object',
  bills: readonly (readonly [what: string, bill: Bill])[],
): string {
  const columns: readonly Column[] = [
    ['calls to Target', ({ targetCalls }) => targetCalls],
    ...(ledger === 'upstash' ? upstash : []),
    ...object,
    ...(store === 'kv' ? kv : []),
    ['bytes of log', ({ logBytes }) => Math.ceil(logBytes / logStep) * logStep],
  ]
  return markdownTable([
    ['', ...columns.map(([heading]) => heading)],
    ...bills.map(([what, bill]) => [what, ...columns.map(([, of]) => String(of(bill)))]),
  ])
}
