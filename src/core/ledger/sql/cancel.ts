/** The cancelling of an admission on SQL (`redis/scripts/cancel.ts` is the same on Redis). Within a transaction. */
import type { AdmitRequest } from '../port.ts'
import { type SettleParts, settleOne } from './settle.ts'
import type { Step } from './step.ts'

/** Settles as unsent what an attempt has opened. @returns how many units were given back */
export function cancelOne(
  { visitorHash, token, attributes, units, source }: AdmitRequest,
  step: Step,
  parts: SettleParts,
): number {
  const visitor = parts.rows.openVisitor(visitorHash, step.nowMs)
  const mine = attributes.filter(({ name }) => visitor.get(name)?.open?.token === token)
  const bucket = mine.map(({ name }) => visitor.get(name)?.open?.bucket).find((one) => one !== undefined)
  if (mine.length === 0) return 0
  settleOne(
    {
      visitorHash,
      token,
      attributes: mine.map((attribute) => ({ ...attribute, outcome: 'unsent' })),
      ...(bucket === undefined
        ? {}
        : { giveBack: { bucket, units, ...(source === undefined ? {} : { source: source.name }) } }),
    },
    step,
    parts,
  )
  return bucket === undefined ? 0 : units
}
