/** Odd files as exports and editors make them, through `send` and `map`: each run ends as docs/cli.md says, and invents no value. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { type Case, cases, withTime } from '../corpus/corpus.ts'
import { cli } from '../support/cli.ts'
import { startFakeRelay } from '../support/fake-relay.ts'
import type { FuzzOptions, FuzzReport } from './app.ts'
import { type Draw, drawOf } from './draw.ts'
import { mutateBytes, mutateText } from './mutate.ts'
import { canary } from './requests.ts'

/** The event time of every row. */
const nowMs = 1_790_000_000_000
const sourcesFile = fileURLToPath(new URL('sources.ts', import.meta.url))
const starts: readonly (readonly [name: string, content: string])[] = [
  ['csv', `thirdPartyId,tier,city\n1,gold,Köln\n2,"a ""b"", c",\n3,${canary},Łódź\n4,silver,"two\nlines"\n`],
  ['csv', 'pcId,occurredAt,id,visits\r\n1.2_3,2026-11-27T10:00:00Z,a,1\r\n1.3,2026-11-27T10:00:00+01:00,b,2\r\n'],
  ['txt', `batch=thirdPartyId,tier,name\n1,gold,K%C3%B6ln\n2,,x\n3,${canary}\n`],
  [
    'ndjson',
    `{"visitor":{"thirdPartyId":"1"},"attributes":{"tier":"gold \u2028 x"}}\n\n{"id":"b","visitor":{"pcId":"1.2"},"attributes":{"a":{"b":${'9'.repeat(17)}}}}\n{"visitor":{"thirdPartyId":"3"},"attributes":{"tier":"${canary}"}}\n`,
  ],
]

export async function fuzzFiles({
  seed,
  from = 0,
  runs,
  untilMs = Number.POSITIVE_INFINITY,
}: FuzzOptions): Promise<FuzzReport> {
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-fuzz-'))
  const sent: string[] = []
  using relay = await startFakeRelay((_, body) => {
    sent.push(body)
    return {
      body: { results: (JSON.parse(body) as { updates: unknown[] }).updates.map(() => ({ status: 'submitted' })) },
    }
  })
  const answers: Record<string, number> = {}
  const faults: string[] = []
  let run = from
  try {
    for (; run < from + runs && faults.length < 20 && Date.now() < untilMs; run++) {
      const draw = drawOf(seed, run)
      const isMap = draw.chance(0.3)
      const one = draw.pick(cases)
      const [name, bytes] = isMap ? eventFile(draw, one) : rowsFile(draw)
      const file = join(folder, name)
      writeFileSync(file, bytes)
      sent.length = 0
      relay.requests.length = 0
      const ran = isMap
        ? await cli(['map', one.source, file, '--json', '--sources', sourcesFile])
        : await cli(['send', file, '--name', 'fuzz'], { RELAY_URL: relay.url, API_TOKEN: 'a-token-of-the-fuzz-only' })
      const answer = `${isMap ? 'map' : 'send'} ${ran.status}`
      answers[answer] = (answers[answer] ?? 0) + 1
      const fault = faultOfRun(ran, isMap ? undefined : { sent, bytes })
      if (fault !== undefined)
        faults.push(
          `--seed ${seed} --from ${run} --runs 1: ${fault}: ${name} ${JSON.stringify(bytes.toString('latin1'))} said ${ran.out} ${ran.err}`,
        )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  return { runs: run - from, answers, faults }
}

function rowsFile(draw: Draw): [name: string, bytes: Buffer] {
  const [end, content] = draw.pick(starts)
  let bytes: Buffer = Buffer.from(content)
  for (let times = draw.int(4); times > 0; times--) bytes = mutateBytes(draw, bytes)
  return [`rows.${end}`, bytes]
}

function eventFile(draw: Draw, { text }: Case): [name: string, bytes: Buffer] {
  const body = withTime(text.slice(text.indexOf('\n\n') + 2), nowMs)
  return ['event.json', draw.chance(0.5) ? Buffer.from(mutateText(draw, body)) : mutateBytes(draw, Buffer.from(body))]
}

function faultOfRun(
  { status, out, err }: Awaited<ReturnType<typeof cli>>,
  file: { readonly sent: readonly string[]; readonly bytes: Buffer } | undefined,
): string | undefined {
  if (![0, 1, 2].includes(status)) return `it ended with ${status}`
  if (status !== 0 && err === '') return 'it failed and did not say why'
  if (/\n\s+at /.test(err) && file !== undefined) return 'it shows a stack'
  if (file === undefined) return undefined
  // Names from a header may be printed; values must not.
  if (err.includes(canary) && !/column/.test(err)) return 'it repeats a value'
  if (status === 2) return file.sent.length === 0 ? undefined : 'it was asked wrongly, and sent something'
  const { rows, refused, submitted = 0 } = JSON.parse(out) as { rows: number; refused: number; submitted?: number }
  if (rows !== refused + submitted) return 'a row was neither sent nor refused'
  const text = file.sent.join('\n')
  return text.includes('\uFFFD') && !file.bytes.includes('\uFFFD') && !file.bytes.includes('%EF%BF%BD')
    ? 'it sends what the file does not hold'
    : undefined
}
