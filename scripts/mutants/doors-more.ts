/** Deliberate bugs in what comes in: inputs of the same kinds as those that went wrong before. */
import type { Mutant } from './mutant.ts'

const owner = 'src/core/operator/owner.ts'
const kept = ['test/edge/kept.test.ts']
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
  {
    name: 'a misspelt dry run of a hook is the real thing',
    breaks: 'security',
    file: 'src/edge/routes/dry-run.ts',
    find: "return name !== 'dry_run' &&",
    replace: "return name === '' &&",
    tests: ['test/edge/routes/hooks.test.ts'],
  },
  {
    name: 'a byte order mark says nothing of a webhook',
    breaks: 'G6',
    file: 'src/edge/source/mapping.ts',
    find: "if (first === 0xff && second === 0xfe) return 'utf-16le'",
    replace: '',
    tests: kept,
  },
  {
    name: 'deflate without its header is quarantined',
    breaks: 'G6',
    file: 'src/edge/http/content-encoding.ts',
    find: '&& !isZlib(bytes)',
    replace: '&& isZlib(new Uint8Array()) && !isZlib(bytes)',
    tests: kept,
  },
  {
    name: 'characters that nobody sees are an id',
    breaks: 'G6',
    file: 'src/core/update/validate.ts',
    find: '\\p{Cc}\\p{Default_Ignorable_Code_Point}\\u2800]*$/u',
    replace: ']*$/u',
    tests: ['test/core/update/validate.test.ts'],
  },
  {
    name: 'an id that a spreadsheet shortened is sent',
    breaks: 'G6',
    file: 'src/cli/rows.ts',
    find: 'if (shortened !== -1)',
    replace: 'if (shortened < -1)',
    tests: ['test/cli/text.test.ts'],
  },
  {
    name: 'a URL is signed with its host in lower case',
    breaks: 'G6',
    file: 'src/edge/auth/url-forms.ts',
    find: '? [host, written] : [host]',
    replace: '? [host] : [host]',
    tests: ['test/edge/auth/url-forms.test.ts'],
  },
  {
    name: 'a Host header makes another address of a signed URL',
    breaks: 'security',
    file: 'src/edge/auth/url-forms.ts',
    find: 'const hosts = written.toLowerCase() === host.toLowerCase()',
    replace: "const hosts = written !== ''",
    tests: ['test/edge/auth/url-forms.test.ts'],
  },
  {
    name: 'a time without hyphens and colons is none',
    breaks: 'G6',
    file: 'src/core/time.ts',
    find: ' ?? basicForm.exec(text) ?? []',
    replace: ' ?? []',
    tests: ['test/core/time.test.ts'],
  },
  {
    name: 'the plain check of a load balancer finds the relay down',
    breaks: 'G2',
    file: 'src/edge/app.ts',
    find: "app.options('/', (c) => takeReadyz(c, partsOf(c)))",
    replace: '',
    tests: ['test/edge/app.test.ts'],
  },
]
