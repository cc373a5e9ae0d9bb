/** Deliberate bugs in what comes in: inputs of the same kinds as those that went wrong before. */
import type { Mutant } from './mutant.ts'

const owner = 'src/core/operator/owner.ts'
const owners = ['test/core/operator/owner.test.ts']

export const doorsMoreMutants: readonly Mutant[] = [
  {
    name: 'a ledger is taken over from an account that Target knows',
    breaks: 'G4',
    file: owner,
    find: 'if ((await ledger.summary()).health.saidYes)',
    replace: 'if (ownerMemo === client)',
    tests: owners,
  },
  {
    name: 'a ledger is taken over under another HASH_KEY',
    breaks: 'G3',
    file: owner,
    find: 'if (differs.length > 0) return `is not all',
    replace: 'if (differs.length > 9) return `is not all',
    tests: owners,
  },
  {
    name: 'what waits under a mistyped client code is lost with it',
    breaks: 'G2',
    file: 'src/core/backlog/seal.ts',
    find: ' || marksBefore.has(theirs) ?',
    replace: ' ?',
    tests: owners,
  },
  {
    name: 'a ledger forgets the second typo in its client code',
    breaks: 'G2',
    file: owner,
    find: '[...(theirs.before ?? []), client]',
    replace: '[client]',
    tests: owners,
  },
]
