/**
 * `npm run bench:trace [-- --seed 1] [--updates 20000]`: how many calls the relay makes for a bursty trace of few busy
 * visitors, against one call for each update; and whether Target ends with the newest value of each attribute. The real
 * door, ledger (SQL), backlog (SQLite) and flush run on a virtual clock. Exit 1 if it makes more than 40 % of the calls,
 * more than the quota in any rolling 24 h, or leaves one value stale.
 *
 * The trace is Adobe's quota at 1 : 200, and four times it in updates: a limit of 5,000 calls in 24 h, and 20,000 updates
 * of 1,000 visitors by Zipf's law (exponent 1.1), each of one of three attributes at random, every value another. 90 %
 * come in ten bursts of ten minutes, at full hours that are drawn from the first 16; the rest at any time of them. Runs of the
 * flush go on, one a minute, until nothing waits.
 */
import { parseArgs } from 'node:util'
import { seededDraw, zipfDraw } from '../../../src/plan/random.ts'
import { createWorld } from '../../support/world.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, updates: { type: 'string', default: '20000' } },
})
const updates = Number(values.updates)
const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000]
const [limitShare, visitorShare, exponent, names] = [1 / 4, 1 / 20, 1.1, 3]
const [bursts, burstMs, burstShare, hours] = [10, 10 * minuteMs, 0.9, 16]
const wantedShare = 0.4

const visitors = Math.round(updates * visitorShare)
const draw = seededDraw(Number(values.seed))
const drawVisitor = zipfDraw(visitors, exponent, draw)
const limit = Math.round(updates * limitShare)
const burstHours = Array.from({ length: bursts }, () => Math.floor(draw() * hours))

const world = await createWorld({ settings: { quotaLimit: limit } })
const startMs = Math.ceil(world.clock.now() / hourMs) * hourMs
const trace = Array.from({ length: updates }, () => {
  const inBurst = draw() < burstShare
  const atMs = inBurst
    ? (burstHours[Math.floor(draw() * bursts)] ?? 0) * hourMs + draw() * burstMs
    : draw() * hours * hourMs
  return { atMs: Math.floor(startMs + atMs), visitor: drawVisitor(), name: `a${Math.floor(draw() * names)}` }
}).sort((a, b) => a.atMs - b.atMs)

/** The newest value by visitor and attribute. */
const newest = new Map<string, Map<string, string>>()
let nextRunMs = startMs
let merged = 0
const runUntil = async (ms: number) => {
  for (; nextRunMs <= ms; nextRunMs += minuteMs) {
    await world.clock.advance(nextRunMs - world.clock.now())
    merged += (await world.flush()).callsSaved
  }
}
const began = performance.now()
let atOnce = 0
for (const [index, { atMs, visitor, name }] of trace.entries()) {
  await runUntil(atMs)
  if (atMs > world.clock.now()) await world.clock.advance(atMs - world.clock.now())
  const id = `visitor ${visitor}`
  const value = `value ${index}`
  newest.set(id, (newest.get(id) ?? new Map<string, string>()).set(name, value))
  const [receipt] = await world.deliver([
    await world.update({ visitor: { thirdPartyId: id }, attributes: { [name]: value } }),
  ])
  await world.settled()
  if (receipt?.status === 'submitted') atOnce++
}
const lastMs = world.clock.now()
while ((await world.backlog.list({ limit: 1 })).items.length > 0) await runUntil(nextRunMs)

const calls = world.target.calls.map(({ atMs }) => atMs)
let [oldest, most] = [0, 0]
for (const [at, atMs] of calls.entries()) {
  while (atMs - (calls[oldest] ?? 0) >= dayMs) oldest++
  most = Math.max(most, at - oldest + 1)
}
const stale = [...newest].reduce((count, [id, attributes]) => {
  const profile = world.profile(id)
  return count + [...attributes].filter(([name, value]) => profile[name] !== value).length
}, 0)
const checked = [...newest.values()].reduce((count, attributes) => count + attributes.size, 0)
const dead = (await world.dead()).length
const fewer = 1 - calls.length / updates
console.log(
  [
    `${updates} updates of ${newest.size} visitors, seed ${values.seed}: ${calls.length} calls, ${(fewer * 100).toFixed(1)} % fewer than one for each (wanted ${(1 - wantedShare) * 100} %)`,
    `${atOnce} sent at once; ${merged} calls saved by merging what waited`,
    `stale: ${stale} of ${checked} values; dead letters: ${dead}; at most ${most} calls in 24 h, of ${limit}`,
    `nothing waited ${((world.clock.now() - lastMs) / hourMs).toFixed(1)} h after the last update; ${((performance.now() - began) / 1_000).toFixed(0)} s of real time`,
  ].join('\n'),
)
process.exitCode = calls.length <= updates * wantedShare && stale === 0 && dead === 0 && most <= limit ? 0 : 1
