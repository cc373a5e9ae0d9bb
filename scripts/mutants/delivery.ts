/** What an update is on its way from its check to its calls. */
import type { Mutant } from './mutant.ts'

const encoding = ['test/core/delivery/encoding.test.ts']

export const deliveryMutants: readonly Mutant[] = [
  {
    name: 'some of the attributes go in the calls of all of them',
    breaks: 'G1',
    file: 'src/core/delivery/attempt.ts',
    find: 'if (going.length === attempt.attributes.length) return calls',
    replace: 'if (going.length > 0) return calls',
    tests: encoding,
  },
  {
    name: 'calls go that were encoded for other settings',
    breaks: 'G6',
    file: 'src/core/delivery/attempt.ts',
    find: 'if (encoding?.wire === wire)',
    replace: 'if (encoding !== undefined)',
    tests: encoding,
  },
  {
    name: 'a part of an update goes in the calls of the whole',
    breaks: 'G1',
    file: 'src/core/delivery/parts.ts',
    find: 'const { event, encoding: _, ...own } = update',
    replace: 'const { event, ...own } = update',
    tests: encoding,
  },
  {
    name: 'an update is encoded again when it is sent',
    breaks: 'G9',
    file: 'src/core/delivery/prepare.ts',
    find: 'encoding: { wire, calls: encoded.calls },',
    replace: '',
    tests: encoding,
  },
]
