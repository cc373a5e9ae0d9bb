/** What the relay is billed for on Workers: these are the tables of docs/costs.md, which are compared with what is counted. */
import { readFileSync } from 'node:fs'
import { URL } from 'node:url'
import { expect, it } from 'vitest'
import { type BilledRelay, startBilledRelay } from './relay.ts'
import { billTable } from './table.ts'

const page = readFileSync(new URL('../../docs/costs.md', import.meta.url), 'utf8')
/** Visitors whose entries a run admits together. */
const together = 16
const anHourMs = 3_600_000
const attributes = { tier: 'gold', city: 'Oslo', segment: 'a' }
const update = (id: string, visitor: string, more: object = {}) => ({
  ...{ id, visitor: { thirdPartyId: visitor }, attributes },
  ...more,
})

it.each([
  ['upstash', 'kv'],
  ['object', 'kv'],
  ['object', 'object'],
] as const)(
  'the bill with the ledger %s and the backlog in %s is the one on the page',
  async (ledger, store) => {
    await using relay = await startBilledRelay(ledger, store)
    await warm(relay)
    const bills = await billsOf(relay)
    // A table that is not there is shown whole, to be copied.
    expect(page.includes(billTable(ledger, store, bills)) ? 'on the page' : billTable(ledger, store, bills)).toBe(
      'on the page',
    )
  },
  120_000,
)

/** What happens once in a process or in ten minutes: whose the ledger is, the census, a note of what waits. */
async function warm(relay: BilledRelay): Promise<void> {
  await relay.send(update('first', 'first'))
  await deferred(relay, [['second', 'second']])
  for (let run = 0; run < 4; run++) await relay.billOf(() => relay.run())
}

async function billsOf(relay: BilledRelay) {
  const sends = (word: string, ...given: Parameters<typeof update>) =>
    relay.billOf(async () => expect(await relay.send(update(...given))).toBe(word))
  const live = await sends('submitted', 'a1', 'anna')
  const again = await sends('submitted', 'a2', 'anna')
  const repeated = await sends('duplicate', 'a1', 'anna')
  const superseded = await sends('superseded', 'a0', 'anna', { occurredAt: Date.now() - 2 * anHourMs })
  await relay.pause(true)
  const kept = await sends('deferred', 'b1', 'bert')
  await relay.pause(false)
  const alone = await relay.billOf(() => relay.run())
  await deferred(
    relay,
    Array.from({ length: 5 }, (_, n) => [`c${n}`, 'carl']),
  )
  const merged = await relay.billOf(() => relay.run())
  await deferred(
    relay,
    Array.from({ length: together }, (_, n) => [`d${n}`, `dora-${n}`]),
  )
  const many = await relay.billOf(() => relay.run())
  const idle = await relay.billOf(() => relay.run())
  expect([alone, merged, many, idle].map(({ targetCalls }) => targetCalls)).toEqual([1, 1, together, 0])
  return [
    ['an update of a new visitor is sent live', live],
    ['another one of a visitor is sent live', again],
    ['an event is repeated', repeated],
    ['an update is superseded by a newer one', superseded],
    ['an update is deferred', kept],
    ['a run that replays one entry', alone],
    ['a run that replays five entries of one visitor, merged', merged],
    [`a run that replays ${together} entries of ${together} visitors`, many],
    ['a run with nothing to do', idle],
  ] as const
}

/** Updates that are deferred, since an operator paused. */
async function deferred(relay: BilledRelay, updates: readonly (readonly [id: string, visitor: string])[]) {
  await relay.pause(true)
  for (const [id, visitor] of updates) expect(await relay.send(update(id, visitor))).toBe('deferred')
  await relay.pause(false)
}
