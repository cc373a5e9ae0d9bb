import type { KnownAttribute } from '../port.ts'
import { listOf, type Maybe } from './answers.ts'
import type { UpstashParts } from './parts.ts'
import { visitorScript } from './scripts/visitor.ts'

/** Where the next step over a visitor's registers begins; neither where there is none. */
interface Place {
  readonly scan?: string
  readonly page?: number
}

/** As `Ledger.visitor`: step by step, so that no script runs long. */
export async function listVisitor(
  { scripts, keys, limits }: UpstashParts,
  visitorHash: string,
): Promise<readonly KnownAttribute[]> {
  const known = new Map<string, KnownAttribute>()
  let next: Place = { scan: '0' }
  do {
    const { scan, page } = next
    const answer = (await scripts.call(visitorScript, [keys.visitor(visitorHash)], {
      scan,
      page,
      together: limits.registersPerPart,
    })) as Place & { readonly known: Maybe<KnownAttribute> }
    for (const one of listOf(answer.known)) known.set(one.name, one)
    next = answer
  } while ((next.scan !== undefined || next.page !== undefined) && known.size < limits.attributesListed)
  return [...known.values()].slice(0, limits.attributesListed)
}
