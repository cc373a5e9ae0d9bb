/** The SQL ledger: the contract, the plain model, and what is specific to it: shared files, rows, transactions. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { URL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import type { AdmitRequest, Ledger, Settlement } from '../../../../src/core/ledger/port.ts'
import { eventLifetimeMs, type LedgerSettings, maxBatch } from '../../../../src/core/ledger/rules/settings.ts'
import { sqlLedger } from '../../../../src/core/ledger/sql/ledger.ts'
import { requestsPerSweep } from '../../../../src/core/ledger/sql/lifetimes.ts'
import { defaultLimits, type Limits } from '../../../../src/core/limits.ts'
import { groupCommits } from '../../../../src/core/store/group-commit.ts'
import type { Sql } from '../../../../src/core/store/sql.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'
import { at, contractSettings, type LedgerMaker, ledgerContract } from '../../../contract/ledger.ts'
import { ledgerClockContract } from '../../../contract/ledger-clock.ts'
import { ledgerDifferential, pacedSettings } from '../../../contract/ledger-differential.ts'
import { largeVisitorContract } from '../../../contract/ledger-large.ts'
import { ledgerLossContract } from '../../../contract/ledger-loss.ts'
import { type ModelLedger, modelLedger } from '../../../contract/ledger-model.ts'
import { sqlWatched } from '../../../support/ledger.ts'
import { measureRows } from '../../../support/register-rows.ts'
import { putState, takeState } from '../../../support/sqlite-state.ts'

const startMs = 1_790_000_000_000
const hourMs = 3_600_000
/** Few enough denials that random operations reach them. */
const denying: Limits = { ...defaultLimits, denialsThatJudge: 3, denialsLastMs: 4_000 }
const tiny: Limits = { ...defaultLimits, registersPerPage: 2, registersPerPart: 3 }
const folder = mkdtempSync(join(tmpdir(), 'target-relay-'))
const opened: DatabaseSync[] = []
let serial = 0
const newFile = () => join(folder, `${++serial}.db`)
const open = (path = ':memory:') => {
  const database = new DatabaseSync(path)
  opened.push(database)
  return database
}
afterAll(() => {
  for (const database of opened) if (database.isOpen) database.close()
  rmSync(folder, { recursive: true, force: true })
})

const request = (visitorHash: string, more: Partial<AdmitRequest> = {}): AdmitRequest => ({
  visitorHash,
  attributes: [{ name: 'tier', stamp: at(0) }],
  units: 1,
  token: `token-${++serial}`,
  ...more,
})
const settlementOf = (
  { visitorHash, token, attributes }: AdmitRequest,
  more: Partial<Settlement> = {},
): Settlement => ({
  visitorHash,
  token,
  attributes: attributes.map((attribute) => ({ ...attribute, outcome: 'delivered' as const })),
  ...more,
})

const maker: LedgerMaker = { make: async (settings, clock) => sqlWatched(nodeSqlite(open()), settings, clock) }
ledgerContract('SQL on node:sqlite', maker)
ledgerClockContract('SQL on node:sqlite', maker)

const sharing: LedgerMaker = {
  make: async (settings, clock) =>
    sqlWatched(
      groupCommits(nodeSqlite(open()), (run) => void setImmediate(run)),
      settings,
      clock,
    ),
}
ledgerContract('SQL on node:sqlite, commits shared', sharing)
ledgerClockContract('SQL on node:sqlite, commits shared', sharing)

ledgerContract('SQL on node:sqlite, pages of two', {
  make: async (settings, clock) => sqlWatched(nodeSqlite(open()), settings, clock, tiny),
})

largeVisitorContract('SQL on node:sqlite', async (settings, clock) => {
  const database = open()
  return {
    ledger: sqlWatched(nodeSqlite(database), settings, clock),
    measure: async () => measureRows(nodeSqlite(database)),
  }
})

ledgerLossContract('SQL', async (settings, clock) => {
  const database = open()
  return {
    store: sqlLedger(nodeSqlite(database), settings, clock),
    wipe: async () => putState(database),
    snapshot: async () => {
      const state = takeState(database)
      return async () => putState(database, state)
    },
  }
})

describe('against the plain model', () => {
  it('gives the same answers to random operations, and no rolling window is ever over the limit (G1)', async () => {
    const models: ModelLedger[] = []
    let limit = 0
    await ledgerDifferential(
      (clock) => {
        const open = openModel(clock)
        return (settings) => {
          limit = settings.quotaLimit
          const model = open(settings)
          if (models.at(-1) !== model) models.push(model)
          return model
        }
      },
      (clock) => {
        const sql = nodeSqlite(new DatabaseSync(':memory:'))
        return (settings) => sqlWatched(sql, settings, clock, denying)
      },
      { numRuns: 600 },
    )
    const steady = models.filter(
      (model) => model.steppedBackMs() <= contractSettings.quotaSlackMs && !model.restarted(),
    )
    expect(steady.length).toBeGreaterThan(100)
    for (const model of steady) expect(model.mostInAnyWindow()).toBeLessThanOrEqual(limit)
    // The runs came near the limit; otherwise the line above would prove nothing.
    expect(Math.max(...steady.map((model) => model.mostInAnyWindow()))).toBeGreaterThanOrEqual(limit - 2)
  }, 60_000)

  it('gives the same answers when two connections to one file take turns', async () => {
    await ledgerDifferential(
      openModel,
      (clock) => {
        const path = newFile()
        const connections = [open(path), open(path)].map((database) => nodeSqlite(database))
        return (settings) => takingTurns(connections.map((sql) => sqlWatched(sql, settings, clock, denying)))
      },
      { numRuns: 25 },
    )
  }, 60_000)

  const { denialsThatJudge, denialsLastMs } = denying
  it.each([
    ['a dozen names in pages of two', tiny, {}],
    ['registers that soon cease to count', defaultLimits, { retentionMs: 5_000, inFlightMs: 1_000 }],
    ['both', tiny, { retentionMs: 5_000, inFlightMs: 1_000 }],
    ['pacing', defaultLimits, pacedSettings],
  ])(
    'gives the same answers with %s',
    async (_, limits, settings) => {
      const make: Parameters<typeof ledgerDifferential>[1] = (clock) => {
        const sql = nodeSqlite(new DatabaseSync(':memory:'))
        return (all) => sqlWatched(sql, all, clock, { ...limits, denialsThatJudge, denialsLastMs })
      }
      await ledgerDifferential(openModel, make, { numRuns: 150, nameCount: 12, settings })
    },
    60_000,
  )
})

describe('one file, several processes', () => {
  it('one connection knows what the other admitted, leased and counted', async () => {
    const path = newFile()
    const clock = { now: () => startMs }
    const settings = { ...contractSettings, quotaLimit: 3, replayReserve: 0 }
    const [one, other] = [
      sqlWatched(nodeSqlite(open(path)), settings, clock),
      sqlWatched(nodeSqlite(open(path)), settings, clock),
    ]
    const first = request('v', { event: 'e', units: 2 })
    expect(await one.admit([first], 'live')).toMatchObject([{ verdicts: ['send'] }])
    expect(
      await other.admit([request('v', { event: 'e' }), request('v'), request('w', { units: 2 })], 'live'),
    ).toMatchObject([{ event: 'in_flight' }, { verdicts: ['contended'] }, { verdicts: ['quota'] }])
    await other.settle([settlementOf(first, { eventDone: 'e' })], { calls: 1 })
    expect(await one.admit([request('v', { event: 'e' }), request('v')], 'live')).toMatchObject([
      { event: 'duplicate' },
      { verdicts: ['delivered'] },
    ])
    expect(await one.lease('flush', 'one', 1_000)).toBe(true)
    expect(await other.lease('flush', 'other', 1_000)).toBe(false)
    expect(await one.usage()).toEqual(await other.usage())
    expect(await one.usage()).toMatchObject({ used: 2, counters: { calls: 1 } })
  })

  it('processes that start at once on a new file spend no unit twice and admit no visitor twice', async () => {
    const [path, processes, visitors, limit] = [newFile(), 4, 150, 100]
    const source = (name: string) => JSON.stringify(new URL(`../../../../${name}`, import.meta.url).href)
    const script = `
      import { DatabaseSync } from 'node:sqlite'
      import { sqlWatched } from ${source('test/support/ledger.ts')}
      import { nodeSqlite } from ${source('src/core/store/sqlite-node.ts')}
      const settings = ${JSON.stringify({ ...contractSettings, quotaLimit: limit, replayReserve: 0 })}
      const ledger = sqlWatched(nodeSqlite(new DatabaseSync(${JSON.stringify(path)})), settings, { now: () => ${startMs} })
      const sent = []
      for (let visitor = 0; visitor < ${visitors}; visitor++) {
        const request = { visitorHash: 'v' + visitor, attributes: [{ name: 'a', stamp: ${JSON.stringify(at(0))} }], units: 1, token: process.pid + '-' + visitor }
        const [answer] = await ledger.admit([request], 'live')
        if (answer.verdicts[0] === 'send') sent.push(visitor)
      }
      console.log(JSON.stringify(sent))
    `
    const run = () => promisify(execFile)(process.execPath, ['--no-warnings', '--input-type=module', '--eval', script])
    const outputs = await Promise.all(Array.from({ length: processes }, run))
    const sent = outputs.flatMap(({ stdout }) => JSON.parse(stdout) as number[])
    expect(sent).toHaveLength(limit)
    expect(new Set(sent).size).toBe(limit)
    const ledger = sqlWatched(nodeSqlite(open(path)), contractSettings, { now: () => startMs })
    expect((await ledger.usage()).used).toBe(limit)
  })

  it('keeps its state when its process ends', async () => {
    const path = newFile()
    const clock = { now: () => startMs }
    const database = open(path)
    const ledger = sqlWatched(nodeSqlite(database), contractSettings, clock)
    const one = request('v', { event: 'e', units: 5 })
    await ledger.admit([one], 'live')
    await ledger.settle([settlementOf(one, { eventDone: 'e' })])
    database.close()
    const again = sqlWatched(nodeSqlite(open(path)), contractSettings, clock)
    expect(await again.admit([request('v', { event: 'e' }), request('v')], 'live')).toMatchObject([
      { event: 'duplicate' },
      { verdicts: ['delivered'] },
    ])
    expect((await again.usage()).used).toBe(5)
  })
})

describe('transactions', () => {
  it('a call that fails half-way leaves no trace, and says why', async () => {
    const sql = nodeSqlite(open())
    let failAt = 'v2'
    const failing: Sql = {
      exec: (query, ...params) => {
        if (query.startsWith('INSERT OR REPLACE INTO relay_visitor') && params[0] === failAt)
          throw new Error('disk full')
        return sql.exec(query, ...params)
      },
      transaction: (work) => sql.transaction(work),
      inTurn: (work) => sql.inTurn(work),
      atomically: (work) => sql.atomically(work),
    }
    const ledger = sqlWatched(failing, contractSettings, { now: () => startMs })
    const batch = ['v1', 'v2'].map((visitor) => request(visitor, { event: `event of ${visitor}` }))
    await expect(ledger.admit(batch, 'live')).rejects.toThrow('disk full')
    expect(await ledger.usage()).toMatchObject({ used: 0, buckets: [] })
    failAt = ''
    expect(await ledger.admit(batch, 'live')).toMatchObject([{ verdicts: ['send'] }, { verdicts: ['send'] }])
    expect((await ledger.usage()).used).toBe(2)
  })

  it('the first error is reported, even if SQLite has rolled back by itself', () => {
    const sql = nodeSqlite(open())
    const work = () => {
      sql.exec('ROLLBACK')
      throw new Error('the first')
    }
    expect(() => sql.transaction(work)).toThrow('the first')
    expect(sql.transaction(() => 1)).toBe(1)
  })
})

describe('the limits of a Durable Object', () => {
  it('it uses one row a visitor, at most 100 parameters a statement, and no transactions', async () => {
    const sql = nodeSqlite(open())
    const statements: { query: string; params: number }[] = []
    const counting: Sql = {
      exec: (query, ...params) => {
        statements.push({ query, params: params.length })
        return sql.exec(query, ...params)
      },
      transaction: (work) => sql.transaction(work),
      inTurn: (work) => sql.inTurn(work),
      atomically: (work) => sql.atomically(work),
    }
    const ledger = sqlWatched(counting, contractSettings, { now: () => startMs })
    const batch = Array.from({ length: maxBatch }, (_, index) =>
      request(`v${index}`, {
        event: `e${index}`,
        attributes: Array.from({ length: 150 }, (_, position) => ({ name: `a${position}`, stamp: at(0) })),
      }),
    )
    await ledger.admit(batch, 'replay')
    await ledger.settle(batch.map((one, index) => settlementOf(one, { eventDone: `e${index}` })))
    const writes = (start: string) => statements.filter(({ query }) => query.startsWith(start)).length
    expect(Math.max(...statements.map(({ params }) => params))).toBeLessThanOrEqual(100)
    expect(statements.filter(({ query }) => /^\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|PRAGMA)/i.test(query))).toEqual([])
    expect(writes('INSERT OR REPLACE INTO relay_visitor')).toBe(maxBatch)
    // The settle does not change how long the row lives, so it does not write the index.
    expect(writes('UPDATE relay_visitor SET registers')).toBe(maxBatch)
    expect(writes('INSERT OR REPLACE INTO relay_event')).toBe(maxBatch)
    expect(writes('UPDATE relay_event')).toBe(maxBatch)
    // The total of a whole batch is one row.
    expect(writes('INSERT OR REPLACE INTO relay_window')).toBe(1)
  })
})

it('a summary reads few rows, however many buckets there are', async () => {
  const sql = nodeSqlite(open())
  let read = 0
  const counting: Sql = {
    exec: (query, ...params) => {
      const found = sql.exec(query, ...params)
      read += found.length
      return found
    },
    transaction: (work) => sql.transaction(work),
    inTurn: (work) => sql.inTurn(work),
    atomically: (work) => sql.atomically(work),
  }
  let nowMs = startMs
  const ledger = sqlWatched(
    counting,
    { ...contractSettings, quotaWindowMs: 1_000_000, quotaLimit: 1_000 },
    { now: () => nowMs },
  )
  for (let bucket = 0; bucket < 300; bucket++) {
    nowMs += 100
    await ledger.admit([request(`v${bucket}`)], 'live')
  }
  read = 0
  expect((await ledger.summary()).used).toBe(300)
  expect(read).toBeLessThanOrEqual(10)
  await ledger.usage()
  expect(read).toBeGreaterThan(300)
})

describe('expired rows', () => {
  const ledgerOn = (
    database: DatabaseSync,
    state: { nowMs: number },
    onQuery: (query: string) => unknown = () => {},
  ) => {
    const sql = nodeSqlite(database)
    const heard: Sql = {
      ...sql,
      exec: (query, ...params) => {
        onQuery(query)
        return sql.exec(query, ...params)
      },
    }
    return sqlWatched(heard, { ...contractSettings, quotaLimit: 1_000_000 }, { now: () => state.nowMs })
  }
  const setUp = () => {
    const database = open()
    const state = { nowMs: startMs }
    const ledger = ledgerOn(database, state)
    const rows = (table: string) => Number(database.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()?.['n'])
    return { state, database, ledger, rows }
  }
  const lifeMs = contractSettings.retentionMs + contractSettings.quotaSlackMs + contractSettings.inFlightMs

  it('an event is remembered for its lifetime and a little longer', async () => {
    const { state, ledger } = setUp()
    await ledger.settle([settlementOf(request('v'), { eventDone: 'e' })])
    state.nowMs = startMs + eventLifetimeMs(contractSettings)
    expect(await ledger.admit([request('v', { event: 'e' })], 'live')).toEqual([{ event: 'duplicate' }])
    state.nowMs += hourMs + 1
    expect(await ledger.admit([request('v', { event: 'e' })], 'live')).toMatchObject([{ event: 'open' }])
  })

  it('a visitor is kept a lifetime longer than its newest register, and each use extends that', async () => {
    const { state, ledger, rows } = setUp()
    await ledger.settle([settlementOf(request('v'), { backoff: { attempts: 1, waitMs: 0 } })])
    state.nowMs += 2 * hourMs
    await ledger.settle([settlementOf(request('v'))])
    state.nowMs = startMs + 2 * hourMs + 2 * lifeMs
    await ledger.admit([request('other')], 'live')
    expect(rows('relay_visitor')).toBe(1)
    state.nowMs += hourMs + 1
    for (let n = 0; n < requestsPerSweep; n++) await ledger.admit([request('other')], 'live')
    expect(rows('relay_visitor')).toBe(0)
  })

  it('they are removed by a store that is opened anew for every request', async () => {
    const { state, database, rows } = setUp()
    for (let day = 0; day < 40; day++) {
      state.nowMs = startMs + day * 24 * hourMs
      await ledgerOn(database, state).admit([request(`day ${day}`, { event: `event ${day}` })], 'live')
    }
    expect(rows('relay_visitor')).toBeLessThanOrEqual(8)
    expect(rows('relay_event')).toBeLessThanOrEqual(10)
  })

  it('a step asks the store as little as it must', async () => {
    const { state, database } = setUp()
    const asked: string[] = []
    const ledger = ledgerOn(database, state, (query) => asked.push(query))
    // The first step begins an epoch, and sweeps.
    await ledger.admit([request('first')], 'live')
    const countOf = async (work: () => Promise<unknown>) => {
      asked.length = 0
      state.nowMs += 3
      await work()
      return asked.length
    }
    const one = request('v', { event: 'e' })
    // What a step begins with, the event and the visitor, read and written, a bucket, the account.
    expect(await countOf(() => ledger.admit([one], 'live'))).toBe(7)
    // The same, but nothing of the quota.
    expect(await countOf(() => ledger.settle([settlementOf(one, { eventDone: 'e' })]))).toBe(5)
  })

  it('they are removed as fast as they come, even in whole batches and for events that were only asked about', async () => {
    const { state, ledger, rows } = setUp()
    const round = async (name: string, stamp: string) => {
      const ids = Array.from({ length: maxBatch }, (_, index) => `${name}-${index}`)
      await ledger.admit(
        ids.map((id) => request(id, { event: `live ${id}`, attributes: [{ name: 'tier', stamp }] })),
        'live',
      )
      await ledger.firstStamps(ids.map((id) => ({ event: `asked ${id}`, stamp })))
    }
    for (let day = 0; day < 20; day++) {
      state.nowMs = startMs + day * 24 * hourMs
      await round(`day ${day}`, at(day * 24 * hourMs))
    }
    // Three days of visitors and four of events are alive, as many again are kept, and one more day's may wait to be removed.
    expect(rows('relay_visitor')).toBeLessThanOrEqual(8 * maxBatch)
    expect(rows('relay_event')).toBeLessThanOrEqual(2 * 10 * maxBatch)
    expect(rows('relay_unit')).toBe(1)
  })

  it('a register that holds no stamp takes no room', async () => {
    const { ledger } = setUp()
    const database = opened.at(-1)
    const one = request('v', { attributes: ['a', 'b'].map((name) => ({ name, stamp: at(0) })) })
    await ledger.admit([one], 'live')
    await ledger.settle([
      {
        visitorHash: 'v',
        token: one.token,
        attributes: [
          { name: 'a', stamp: at(0), outcome: 'refused' },
          { name: 'b', stamp: at(0), outcome: 'delivered' },
        ],
      },
    ])
    expect(database?.prepare('SELECT registers FROM relay_visitor').all()).toEqual([
      { registers: JSON.stringify({ r: [['b', { done: at(0) }]] }) },
    ])
  })
})

function openModel(clock: { now: () => number }): (settings: LedgerSettings) => ModelLedger {
  let model: ModelLedger | undefined
  return (settings) => {
    model ??= modelLedger(settings, clock, denying)
    model.restart(settings)
    return model
  }
}

/** Sends each call to the next of several ledgers. */
function takingTurns(ledgers: readonly Ledger[]): Ledger {
  let turn = 0
  const next = (): Ledger => {
    const ledger = ledgers[turn++ % ledgers.length]
    if (ledger === undefined) throw new Error('no ledger')
    return ledger
  }
  return {
    kind: 'embedded',
    admit: (requests, lane) => next().admit(requests, lane),
    cancel: (requests) => next().cancel(requests),
    settle: (settlements, counts, leads) => next().settle(settlements, counts, leads),
    firstStamps: (events) => next().firstStamps(events),
    summary: () => next().summary(),
    usage: () => next().usage(),
    series: (fromMs) => next().series(fromMs),
    look: (fromMs, memos) => next().look(fromMs, memos),
    confirmClock: () => next().confirmClock(),
    lease: (name, holder, ttlMs) => next().lease(name, holder, ttlMs),
    release: (name, holder) => next().release(name, holder),
    leaseAndRecall: (...asked) => next().leaseAndRecall(...asked),
    rememberAndRelease: (...asked) => next().rememberAndRelease(...asked),
    recall: (name) => next().recall(name),
    recallAll: (names) => next().recallAll(names),
    remember: (name, value) => next().remember(name, value),
    rememberFirst: (name, value) => next().rememberFirst(name, value),
    compareAndSet: (...asked) => next().compareAndSet(...asked),
    check: () => next().check(),
    pause: (paused) => next().pause(paused),
    closeBreaker: () => next().closeBreaker(),
    recordAct: (act) => next().recordAct(act),
    acts: () => next().acts(),
    erase: (visitorHash) => next().erase(visitorHash),
    restate: (units) => next().restate(units),
    visitor: (visitorHash) => next().visitor(visitorHash),
    history: (visitorHash) => next().history(visitorHash),
    moveOut: (cursor) => next().moveOut(cursor),
    moveIn: (part) => next().moveIn(part),
    restored: () => next().restored(),
  }
}
