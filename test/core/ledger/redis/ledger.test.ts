import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Ledger } from '../../../../src/core/ledger/port.ts'
import { upstashLedger } from '../../../../src/core/ledger/redis/ledger.ts'
import { defaultLimits, type Limits } from '../../../../src/core/limits.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'
import { at, contractSettings, type LedgerMaker, ledgerContract } from '../../../contract/ledger.ts'
import { ledgerClockContract } from '../../../contract/ledger-clock.ts'
import { ledgerDifferential, pacedSettings } from '../../../contract/ledger-differential.ts'
import { largeVisitorContract } from '../../../contract/ledger-large.ts'
import { ledgerLossContract } from '../../../contract/ledger-loss.ts'
import { seededRandom } from '../../../support/clock.ts'
import { sqlWatched, upstashWatched } from '../../../support/ledger.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../../../support/upstash-stand-in.ts'

const tiny: Limits = { ...defaultLimits, registersPerPage: 2, registersPerPart: 3 }
/** Few enough denials that random operations reach them. */
const denying = { denialsThatJudge: 3, denialsLastMs: 4_000 }
/** An answer that is only slow is no other answer, however busy the machine is. */
const patientMs = 30_000
let standIn: UpstashStandIn
let serial = 0
const random = seededRandom(7)
beforeAll(async () => {
  standIn = await startUpstashStandIn()
})
afterAll(() => standIn[Symbol.asyncDispose]())

const ledgerOn = (
  clock?: { now: () => number },
  overrides: Partial<Parameters<typeof upstashWatched>[0]> = {},
): Ledger =>
  upstashWatched({
    url: standIn.url,
    token: standIn.token,
    settings: contractSettings,
    timeoutMs: 5_000,
    prefix: `t${process.pid}-${++serial}`,
    ...(clock === undefined ? {} : { now: clock.now }),
    ...overrides,
  })

const maker: LedgerMaker = { make: async (settings, clock) => ledgerOn(clock, { settings }) }
ledgerContract('Upstash', maker)
ledgerClockContract('Upstash', maker)

ledgerContract('Upstash, pages of two', {
  make: async (settings, clock) => ledgerOn(clock, { settings, limits: tiny }),
})

/** Counts the hashes of visitors, and the bytes and registers of the largest one. */
const measureScript = `
local rows, bytes, registers = 0, 0, 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local size, fields = 0, redis.call('HGETALL', key)
  local own = 0
  for index = 1, #fields, 2 do
    size = size + #fields[index] + #fields[index + 1]
    if string.sub(fields[index], 1, 2) == 'a:' then own = own + 1 end
  end
  rows, bytes, registers = rows + 1, math.max(bytes, size), math.max(registers, own)
end
return cjson.encode({ rows = rows, bytes = bytes, registers = registers })`
const measure = async (prefix: string) =>
  JSON.parse(String(await standIn.command('EVAL', measureScript, '0', `${prefix}:v:*`))) as {
    rows: number
    bytes: number
    registers: number
  }

largeVisitorContract('Upstash', async (settings, clock) => {
  const prefix = `large${process.pid}-${++serial}`
  return { ledger: ledgerOn(clock, { settings, prefix }), measure: () => measure(prefix) }
})

ledgerLossContract('Upstash', async (settings, clock) => {
  const prefix = `loss${process.pid}-${++serial}`
  const keys = async () => (await standIn.command('KEYS', `${prefix}:*`)) as string[]
  const wipe = async () => {
    for (const key of await keys()) await standIn.command('DEL', key)
  }
  return {
    store: upstashLedger({
      url: standIn.url,
      token: standIn.token,
      settings,
      timeoutMs: 5_000,
      prefix,
      now: clock.now,
    }),
    wipe,
    // Copied to other keys, so that no binary dump has to be transferred.
    snapshot: async () => {
      const held = (await keys()).map((key) => [key, `kept:${key}`] as const)
      for (const [key, copy] of held) await standIn.command('COPY', key, copy, 'REPLACE')
      return async () => {
        await wipe()
        for (const [key, copy] of held) await standIn.command('COPY', copy, key, 'REPLACE')
      }
    },
  }
})

describe('both ledgers give the same answers', () => {
  it.each([
    ['to random operations', contractSettings],
    ['to random operations with pacing', pacedSettings],
  ] as const)(
    '%s',
    async (_, settings) => {
      await ledgerDifferential(
        (clock) => {
          const sql = nodeSqlite(new DatabaseSync(':memory:'))
          return (settings) => sqlWatched(sql, settings, clock, { ...defaultLimits, ...denying })
        },
        (clock) => {
          const prefix = `d${process.pid}-${++serial}`
          return (settings) =>
            ledgerOn(clock, { settings, limits: { ...defaultLimits, ...denying }, prefix, timeoutMs: patientMs })
        },
        { settings },
      )
    },
    60_000,
  )

  it('even with a dozen names in pages of two, and registers that soon cease to count', async () => {
    await ledgerDifferential(
      (clock) => {
        const sql = nodeSqlite(new DatabaseSync(':memory:'))
        return (settings) => sqlWatched(sql, settings, clock, { ...tiny, ...denying })
      },
      (clock) => {
        const prefix = `d${process.pid}-${++serial}`
        return (settings) =>
          ledgerOn(clock, { settings, limits: { ...tiny, ...denying }, prefix, timeoutMs: patientMs })
      },
      { nameCount: 12, settings: { retentionMs: 5_000, inFlightMs: 1_000 } },
    )
  }, 60_000)
})

describe('what an update costs and how it fails', () => {
  const request = () => ({
    visitorHash: random.hex(16),
    attributes: [{ name: 'tier', stamp: at(0) }],
    event: random.hex(16),
    units: 1,
    token: random.hex(12),
  })
  const clock = { now: () => 1_790_000_000_000 }

  it('warm: admit is one HTTP request of two commands, settle one of one command; a batch costs the same', async () => {
    const ledger = ledgerOn(clock)
    await ledger.admit([request()], 'live')
    await ledger.settle([])
    standIn.resetCounts()
    const one = request()
    await ledger.admit([one], 'live')
    expect(standIn.counts).toMatchObject({ requests: 1, commands: 2, names: ['evalsha', 'evalsha'] })
    await ledger.settle([
      {
        visitorHash: one.visitorHash,
        token: one.token,
        attributes: [{ name: 'tier', stamp: at(0), outcome: 'delivered' }],
      },
    ])
    expect(standIn.counts).toMatchObject({ requests: 2, commands: 3 })
    standIn.resetCounts()
    await ledger.admit(Array.from({ length: 50 }, request), 'live')
    expect(standIn.counts).toMatchObject({ requests: 1, commands: 2 })
  })

  it('what operators are shown is one HTTP request of three commands', async () => {
    const ledger = ledgerOn(clock)
    await ledger.look(0, ['some'])
    standIn.resetCounts()
    await ledger.look(0, ['some', 'other', 'third'])
    expect(standIn.counts).toMatchObject({ requests: 1, commands: 3 })
  })

  it('what is asked at one moment for several callers goes in requests of their own: on Workers no I/O is shared', async () => {
    const ledger = ledgerOn(clock)
    await ledger.admit([request()], 'live')
    await ledger.settle([])
    standIn.resetCounts()
    const admitting = [ledger.admit([request()], 'live'), ledger.admit([request()], 'live')]
    await Promise.all([...admitting, ledger.settle([]), ledger.settle([])])
    expect(standIn.counts).toMatchObject({ requests: 4, commands: 6 })
  })

  it('cold, or after Redis lost its scripts: one more request, and nothing is spent twice (G1)', async () => {
    const ledger = ledgerOn(clock)
    await ledger.check()
    for (let time = 1; time <= 3; time++) {
      await standIn.command('SCRIPT', 'FLUSH')
      standIn.resetCounts()
      expect(await ledger.admit([request()], 'live')).toMatchObject([{ verdicts: ['send'] }])
      expect(standIn.counts.requests).toBe(2)
      expect((await ledger.usage()).used).toBe(time)
    }
  })

  it('leaves no grant behind', async () => {
    const ledger = ledgerOn(clock, { prefix: 'grants' })
    await ledger.admit([request()], 'live')
    expect(await standIn.command('KEYS', 'grants:grant:*')).toEqual([])
  })

  it.each(['hang', 'lose_reply'] as const)(
    'rejects on the fault %s after one request, and never admits (G1)',
    async (kind) => {
      const ledger = ledgerOn(clock, { timeoutMs: 200 })
      await ledger.admit([request()], 'live')
      standIn.resetCounts()
      standIn.fault = { kind }
      try {
        await expect(ledger.admit([request()], 'live')).rejects.toThrow()
        expect(standIn.counts.requests).toBe(1)
        await expect(ledger.settle([])).rejects.toThrow()
      } finally {
        standIn.fault = undefined
      }
    },
  )

  it.each([401, 429, 500, 502])('rejects on status %i, after one request', async (status) => {
    const ledger = ledgerOn(clock)
    await ledger.admit([request()], 'live')
    standIn.resetCounts()
    standIn.fault = { kind: 'refuse', status }
    try {
      await expect(ledger.admit([request()], 'live')).rejects.toThrow()
      expect(standIn.counts.requests).toBe(1)
    } finally {
      standIn.fault = undefined
    }
  })

  it('rejects on a wrong token', async () => {
    await expect(ledgerOn(clock, { token: 'wrong' }).admit([request()], 'live')).rejects.toThrow()
  })

  it('uses the server’s clock if it is given none', async () => {
    const ledger = ledgerOn()
    const now = Date.now()
    const stamp = `t${now}${now}0000000000000000`
    expect(await ledger.admit([{ ...request(), attributes: [{ name: 'tier', stamp }] }], 'live')).toMatchObject([
      { verdicts: ['send'] },
    ])
    const [[startMs] = [0]] = (await ledger.usage()).buckets
    expect(Math.abs(startMs - now)).toBeLessThan(10_000)
  })
})
