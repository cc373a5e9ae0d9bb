/** `docs/guarantees.md`: what is promised, what holds it, and which deliberate bug each machine noticed. */
import { tablesAsMarkdown } from '../../test/sim/reach.ts'
import { readReached } from '../../test/sim/reached.ts'
import type { Mutant } from './mutant.ts'

export interface Judged {
  /** Whether the patch could be applied. */
  readonly fits: boolean
  /** The test that went red. */
  readonly test?: string
  /** The first seed of the simulator that broke a guarantee, and how. */
  readonly seed?: number
  readonly violation?: string
}

export interface ListedTest {
  readonly name: string
  readonly file: string
}

const rules: readonly {
  readonly id: string
  readonly title: string
  readonly property: string
  readonly simulator: string
}[] = [
  {
    id: 'G1',
    title: 'quota',
    property:
      'In no rolling window are more calls made than `QUOTA_LIMIT`, over all isolates, lanes and runs. When the ledger is silent, nothing is sent.',
    simulator:
      'Counts the calls that reach Target, with their arrival by real time, in every window that ends at a call; where settings changed within it, against the strictest promise that held throughout. Units that a failover forgot are the documented hole and are allowed for.',
  },
  {
    id: 'G2',
    title: 'nothing lost',
    property:
      'A 2xx means that each attribute was accepted by Target, is superseded, or lies durably in backlog or dead letters.',
    simulator:
      'At every acknowledgement and every delete of KV: the value was applied, something newer was, or KV holds it. At the end all is drained, applied, superseded or dead.',
  },
  {
    id: 'G3',
    title: 'newest wins',
    property: 'An older value is never sent once a newer one was delivered or may have been.',
    simulator:
      'At every call that reaches Target: no newer value of this visitor and attribute was sent before and not refused. At the end each profile holds the newest.',
  },
  {
    id: 'G4',
    title: 'once',
    property: 'A repeated event that was settled costs no call; one that died is done again under its first stamp.',
    simulator:
      'Senders retry and duplicate at will; a `duplicate` is checked as an acknowledgement is (G2), and an order that came from a second stamp breaks G3.',
  },
  {
    id: 'G5',
    title: 'fits',
    property: 'No GET over 8,000 bytes of URL, no POST over 60,000 bytes of body.',
    simulator: 'Measures every call.',
  },
  {
    id: 'G6',
    title: 'exact',
    property: 'What Target decodes is what the source sent.',
    simulator:
      'Decodes every call with a decoder of its own: each pair must be one that a sender gave for this visitor.',
  },
  {
    id: 'G7',
    title: 'progress',
    property: 'With quota free the backlog drains; nobody can starve anybody.',
    simulator:
      'After the last fault the backlog must be empty within three hours of virtual time, but for what alone may stay: a visitor whom the ledger always refuses, a key that KV gives to nobody, what a fast clock took in ahead of its time. Target is never said to fail for a visitor for whom it never did.',
  },
  {
    id: 'G8',
    title: 'discreet',
    property: 'No secret, visitor id or value in a log line, a key, or an error body.',
    simulator: 'Searches all logs, answers, and keys of KV and ledger for the planted secrets, ids and values.',
  },
  {
    id: 'G9',
    title: 'recoverable',
    property:
      'Whatever is set aside or waits can be counted, found and read by an operator, and brought back or dropped, one or many, by a plan that says beforehand what it will do; every such act is on record.',
    simulator:
      'Operators plan, run and cancel at random moments. At the end each letter of a plan that was run is delivered, superseded, waiting, dead again or dropped, and no plan touched anything else.',
  },
  {
    id: 'security',
    title: 'who may',
    property: 'Nobody gets in without proof, and a browser can be used by nobody else (SECURITY.md).',
    simulator: '',
  },
]

export function guaranteesPage(
  tests: readonly ListedTest[],
  rows: readonly (Mutant & Judged)[],
  seeds: number,
): string {
  const naming = (id: string) => tests.filter(({ name }) => new RegExp(`\\b${id}\\b`).test(name))
  return `# Guarantees and what holds them

Made by \`npm run mutants -- --write\`; do not edit. The guarantees are stated in the README; the rules behind G1 to G4
are in [rules.md](rules.md). Beside the tests that name a guarantee, the simulator (\`npm run sim\`) checks
it in every step of every run, and the soak (\`npm run soak\`) checks G1, G2 and G3 on real parts that are killed,
\`npm run faults\` G1 to G4 on real servers whose disk, file, Redis and senders fail.

## Guarantee → property → tests

${rules
  .map(
    ({ id, title, property, simulator }) => `### ${id}: ${title}

${property}
${simulator === '' ? '' : `\n- **Simulator**: ${simulator}`}
${naming(id)
  .map(({ name, file }) => `- \`${file}\`: ${escaped(name)}`)
  .join('\n')}
- **Mutants**: ${
      rows
        .filter(({ breaks }) => breaks === id)
        .map(({ name }) => name)
        .join('; ') || 'none'
    }
`,
  )
  .join('\n')}
## What the simulator's nights reach

A simulator that is silent about what it never tried says nothing about it. So each night counts which row of the
admission's table and which fate it reached, on which lane, and what interrupted the attempt (\`test/sim/reach.ts\`). A
run of 1,000 seeds or more fails where it no longer reaches a cell that it should have by the counts of
\`test/sim/reached.json\`.

${tablesAsMarkdown(readReached())}
## Mutants

Each is one deliberate bug, applied to a copy of the tree. "Seed" is the first of ${seeds} seeds at which the simulator
breaks (\`npm run sim -- --seed N\` on the mutated tree), "test" the first red test; a dash says that this machine does not notice.
Some bugs the simulator cannot meet by construction: it runs the embedded ledger, and knows nothing of Redis.

| breaks | mutant | seed | test |
|---|---|---|---|
${rows.map(({ name, breaks, seed, test }) => `| ${breaks} | ${escaped(name)} | ${seed ?? '—'} | ${test === undefined ? '—' : escaped(test)} |`).join('\n')}
`
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
