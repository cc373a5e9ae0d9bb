/** Alerts: what is raised and when it is over, each told at least once and at most a few times, whatever fails. */
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import type { Ledger, Summary } from '../../src/core/ledger/port.ts'
import { healthy } from '../../src/core/ledger/rules/health.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import type { AlertState, Condition } from '../../src/cron/alerts/alert.ts'
import { conditionsOf, deadAfter, type Figures, type Snapshot } from '../../src/cron/alerts/conditions.ts'
import { type AlertMemory, alertDuty } from '../../src/cron/alerts/duty.ts'
import { alertSender, type SendAlert } from '../../src/cron/alerts/send.ts'
import { advanced, noAlerts, readAlerts, untold } from '../../src/cron/alerts/state.ts'
import type { Share } from '../../src/cron/duties.ts'
import { emptyReport, type FlushReport } from '../../src/cron/report.ts'
import { fakeClock, seededRandom } from '../support/clock.ts'
import { sqlWatched } from '../support/ledger.ts'
import { worldSettings } from '../support/world.ts'

const nowMs = 1_790_000_000_000
const minuteMs = 60_000
const dayMs = 86_400_000
const calm: Summary = { limit: 1_000, used: 0, remaining: 1_000, health: healthy, leads: {} }
const calmSnapshot: Snapshot = {
  nowMs,
  report: { stopped: 'drained', unreadable: 0 },
  startedBy: 'cron',
  summary: calm,
  retentionMs: 72 * 3_600_000,
  quotaWindowMs: dayMs,
  figures: {},
}
const breaker = { cause: 'unavailable', sinceMs: nowMs, untilMs: nowMs, probes: 0, traits: [] } as const

const holding = (snapshot: Partial<Snapshot>, state: AlertState = noAlerts) =>
  conditionsOf({ ...calmSnapshot, ...snapshot }, state)
    .filter(({ holds }) => holds)
    .map(({ type, level, source }) => [type, level, source].filter((part) => part !== undefined).join(' '))

describe('what is worth an alert', () => {
  const used = (units: number) => ({ summary: { ...calm, used: units } })
  const inMs = (ms: number): { figures: Figures } => ({ figures: { firstDeferralAtMs: nowMs + ms } })
  const waiting = (hours: number): { figures: Figures } => ({ figures: { oldestAtMs: nowMs - hours * 3_600_000 } })
  const token = (days: number) => ({ tokenExpiresAtMs: nowMs + days * dayMs })
  it.each<[string, Partial<Snapshot>, string[]]>([
    ['a calm day', {}, []],
    ['79.9 % of the quota', used(799), []],
    ['80 %', used(800), ['quota.used 80']],
    ['95 %', used(950), ['quota.used 80', 'quota.used 95']],
    ['all of it', used(1_000), ['quota.used 80', 'quota.used 95', 'quota.used 100']],
    ['it will run out within the day', inMs(dayMs), ['quota.forecast']],
    ['or later', inMs(dayMs + 1), []],
    ['or not', { figures: { firstDeferralAtMs: null } }, []],
    ['a quarter of the retention', waiting(18), ['backlog.oldest 25']],
    ['three quarters', waiting(54), ['backlog.oldest 25', 'backlog.oldest 50', 'backlog.oldest 75']],
    ['nothing waits', { figures: { oldestAtMs: null } }, []],
    ['what no key opens', { report: { stopped: 'time', unreadable: 1 } }, ['backlog.unreadable']],
    ['the breaker', { summary: { ...calm, health: { ...healthy, breaker } } }, ['breaker.open']],
    [
      'a breaker about one visitor alone',
      { summary: { ...calm, health: { ...healthy, breaker: { ...breaker, traits: ['v:1', 's:crm'] } } } },
      [],
    ],
    ['a loss of the ledger', { summary: { ...calm, lostAtMs: nowMs - dayMs + 1 } }, ['ledger.lost']],
    ['an old one', { summary: { ...calm, lostAtMs: nowMs - dayMs } }, []],
    ['a token for 15 days', token(15), []],
    ['for 14', token(14), ['token.expires 14']],
    ['that has ended', token(0), ['token.expires 14', 'token.expires 3', 'token.expires 0']],
    [
      'sources that fail to authenticate',
      { figures: { unauthenticatedInRow: { loan: 20, crm: 19 } } },
      ['source.unauthenticated loan'],
    ],
    ['letters that end within a week', { figures: { deadEnding: 1 } }, ['dead.ending']],
    ['letters that were there before', { figures: { dead: 5 } }, []],
    ['a run that the alarm started', { startedBy: 'alarm' }, ['flush.silent']],
  ])('%s', (_, snapshot, names) => {
    expect(holding(snapshot)).toEqual(names)
  })

  it('a full window frees some units every minute: a level is over well below it', () => {
    const state = advanced(noAlerts, conditionsOf({ ...calmSnapshot, ...used(1_000) }, noAlerts), nowMs)
    expect(holding(used(950), state)).toContain('quota.used 100')
    expect(holding(used(949), state)).not.toContain('quota.used 100')
  })

  it('what a run that ended early did not meet is not over', () => {
    const judged = (stopped: FlushReport['stopped']) =>
      conditionsOf({ ...calmSnapshot, report: { stopped, unreadable: 0 } }, noAlerts).some(
        ({ type }) => type === 'backlog.unreadable',
      )
    expect([judged('time'), judged('drained')]).toEqual([false, true])
  })

  it('new dead letters are one alert until none came for an hour', () => {
    let state: AlertState = noAlerts
    const names: string[][] = []
    for (const [minutes, dead] of [
      [0, 5],
      [1, 6],
      [30, 7],
      [89, 7],
      [90, 7],
      [91, 3],
      [92, 4],
    ] as const) {
      const snapshot = { ...calmSnapshot, nowMs: nowMs + minutes * minuteMs, figures: { dead } }
      names.push(holding(snapshot, state))
      const watch = deadAfter(snapshot, state)
      state = { ...state, ...(watch === undefined ? {} : { dead: watch }) }
    }
    const on = ['dead.new']
    expect(names).toEqual([[], on, on, on, [], [], on])
  })

  it('a source that is gone no longer fails', () => {
    const state = advanced(noAlerts, [failing(20)], nowMs)
    const gone = conditionsOf({ ...calmSnapshot, figures: { unauthenticatedInRow: {} } }, state)
    expect(gone).toContainEqual(expect.objectContaining({ source: 'loan', holds: false }))
  })
  const failing = (failed: number): Condition => ({
    type: 'source.unauthenticated',
    source: 'loan',
    holds: failed >= 20,
    data: { failed },
  })
})

describe('what is still to be told', () => {
  const one = (holds: boolean): Condition => ({ type: 'breaker.open', holds, data: {} })
  const idsOf = (state: AlertState) => untold(state).map(({ message }) => message.id)

  it('its beginning and its end, in this order, if the receiver knows neither', () => {
    const state = advanced(advanced(noAlerts, [one(true)], 1), [one(false)], 2)
    expect(idsOf(state)).toEqual(['alert_breaker_open_1', 'alert_breaker_open_1_recovered'])
  })

  it('what begins again before its end was told goes on', () => {
    const over = advanced(advanced(noAlerts, [one(true)], 1), [one(false)], 2)
    expect(idsOf(advanced(over, [one(true)], 3))).toEqual(['alert_breaker_open_1'])
  })

  it('nothing has changed: the very same state', () => {
    const state = advanced(noAlerts, [one(true)], 1)
    expect(advanced(state, [one(true)], 2)).toBe(state)
    expect(advanced(noAlerts, [one(false)], 2)).toBe(noAlerts)
  })

  it.each(['', '{', 'null', '{"raised":{"x":{"type":"of another version","sinceMs":1}}}'])(
    'a memo that is none of this version’s has nothing raised: %s',
    (text) => {
      expect(readAlerts(text).raised).toEqual({})
    },
  )
})

const share: Share = { has: () => true }
const secret = Buffer.alloc(32, 7)

interface Told {
  readonly id: string
  readonly type: string
}

/** A relay's duty on a real ledger, whose summary a test decides, and a receiver. */
function relay({ figures = {} }: { figures?: Figures } = {}) {
  const clock = fakeClock(nowMs)
  const random = seededRandom(1)
  const real = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), worldSettings, { now: clock.now })
  const state = { summary: calm, figures, taken: true, told: [] as Told[], logged: [] as string[] }
  const ledger: Ledger = { ...real, summary: async () => state.summary }
  const send: SendAlert = async ({ id, type, recovered }) => {
    if (!state.taken) return 'status 500'
    state.told.push({ id, type: recovered ? `${type}.recovered` : type })
    return undefined
  }
  const log = (event: string, details: object = {}) => void state.logged.push(JSON.stringify({ event, ...details }))
  const run = (
    report: Partial<FlushReport> = {},
    more: { ledger?: Ledger; send?: SendAlert | undefined; memory?: AlertMemory; startedBy?: 'cron' | 'alarm' } = {},
  ) =>
    alertDuty({
      ledger: more.ledger ?? ledger,
      clock,
      random,
      log,
      memory: more.memory ?? {},
      settings: { retentionHours: 72, quotaWindowMs: dayMs },
      startedBy: more.startedBy ?? 'cron',
      lookAt: async () => ({ summary: await (more.ledger ?? ledger).summary(), figures: state.figures }),
      ...('send' in more ? (more.send === undefined ? {} : { send: more.send }) : { send }),
    }).work(share, { ...emptyReport(), ...report })
  return { clock, random, ledger, state, run, send, types: () => state.told.map(({ type }) => type) }
}

const open = { ...calm, health: { ...healthy, breaker } }

describe('the duty', () => {
  it('tells once that something began, and once that it is over, and logs both', async () => {
    const { state, run, types } = relay()
    await run()
    state.summary = open
    for (let minute = 0; minute < 3; minute++) await run()
    state.summary = calm
    for (let minute = 0; minute < 3; minute++) await run()
    expect(types()).toEqual(['breaker.open', 'breaker.open.recovered'])
    expect(state.logged.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
      'breaker_opened',
      'breaker_closed',
    ])
  })

  it('a receiver that fails is told again by the next run, under the same id', async () => {
    const { state, run, types } = relay()
    state.summary = open
    state.taken = false
    await run()
    await run()
    expect(state.logged.filter((line) => line.includes('alert_not_sent'))).toHaveLength(2)
    state.taken = true
    await run()
    expect(types()).toEqual(['breaker.open'])
  })

  it('a run that died behind a message has the next one say it again, under the same id', async () => {
    const { state, run, send, clock } = relay()
    state.summary = open
    const dies: SendAlert = async (message) => {
      await send(message)
      throw new Error('it died')
    }
    await expect(run({}, { send: dies })).rejects.toThrow('it died')
    await clock.advance(2 * minuteMs)
    await run()
    expect(state.told).toHaveLength(2)
    expect(state.told[1]).toEqual(state.told[0])
  })

  it('without a receiver it logs the same, asks nothing of an idle ledger, and keeps nothing there', async () => {
    const { state, run, ledger } = relay()
    const memory: AlertMemory = {}
    let asked = 0
    const counted: Ledger = {
      ...ledger,
      summary: async () => {
        asked++
        return state.summary
      },
    }
    const log = (report: Partial<FlushReport>) => run(report, { send: undefined, memory, ledger: counted })
    await log({ read: 0 })
    expect(asked).toBe(0)
    state.summary = open
    await log({ read: 1 })
    state.summary = calm
    await log({ read: 0 })
    await log({ read: 0 })
    expect(asked).toBe(2)
    expect(state.logged.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
      'breaker_opened',
      'breaker_closed',
    ])
    expect(await ledger.recall('alerts')).toBeUndefined()
  })

  it('an idle run with a receiver asks the ledger two things, and writes nothing', async () => {
    const { run, ledger } = relay()
    const asked: string[] = []
    const watched = Object.fromEntries(
      Object.entries(ledger).map(([name, method]) => [
        name,
        typeof method === 'function'
          ? (...args: unknown[]) => {
              asked.push(name)
              return (method as (...args: unknown[]) => unknown)(...args)
            }
          : method,
      ]),
    ) as unknown as Ledger
    await run({}, { ledger: watched })
    expect(asked).toEqual(['recall', 'summary'])
  })

  it('a silent ledger is told of once an hour an isolate, under one id, and that it answers again', async () => {
    const { state, run, ledger, clock, types } = relay()
    const dumb: Ledger = { ...ledger, recall: () => Promise.reject(new Error('silent')) }
    const [one, other]: [AlertMemory, AlertMemory] = [{}, {}]
    const silent = (memory: AlertMemory) => run({ stopped: 'ledger_unavailable' }, { ledger: dumb, memory })
    await silent(one)
    await silent(one)
    await silent(other)
    expect(types()).toEqual(['ledger.silent', 'ledger.silent'])
    expect(new Set(state.told.map(({ id }) => id)).size).toBe(1)
    await clock.advance(3_600_000)
    await silent(one)
    expect(state.told).toHaveLength(3)
    await run({}, { memory: one })
    expect(types().at(-1)).toBe('ledger.silent.recovered')
    expect(state.told.at(-1)?.id).toBe(`${state.told.at(-2)?.id}_recovered`)
    await run({}, { memory: one })
    expect(state.told).toHaveLength(4)
  })

  it('a ledger that fails behind a flush that reached it fails the duty, which is logged', async () => {
    const { run, ledger, state } = relay()
    const dumb: Ledger = { ...ledger, recall: () => Promise.reject(new Error('silent')) }
    await expect(run({}, { ledger: dumb })).rejects.toThrow('silent')
    expect(state.told).toEqual([])
  })

  it('through crashes, lost answers and overlapping runs: each beginning and end at least once, at most a few times', async () => {
    const step = fc.record({
      open: fc.boolean(),
      used: fc.constantFrom(0, 850, 1_000),
      taken: fc.boolean(),
      /** What happens to the run. */
      fault: fc.constantFrom('none' as const, 'none' as const, 'crash' as const, 'lost' as const, 'two' as const),
      /** Behind which of its steps. */
      after: fc.integer({ min: 0, max: 12 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { state, run, ledger, clock, send } = relay()
        /** Conditions that a whole run saw, with a receiver that took what it was told. */
        const seen = new Set<string>()
        for (const { open: isOpen, used, taken, fault, after } of steps) {
          await clock.advance(minuteMs)
          state.summary = { ...(isOpen ? open : calm), used }
          state.taken = taken
          if (fault === 'none') {
            await run()
            if (taken && isOpen) seen.add('breaker.open')
            if (taken && used === 1_000) seen.add('quota.used')
          } else if (fault === 'two') {
            // The lease keeps nobody out.
            const shared = { ...ledger, lease: async () => true }
            await Promise.all([run({}, { ledger: shared }), run({}, { ledger: shared })])
          } else {
            let left = after
            const may = <Args extends unknown[], T>(work: (...args: Args) => Promise<T>) =>
              (async (...args: Args) => {
                if (left === 0 && fault === 'crash') throw new Error('died before a step')
                const result = left < 0 ? Promise.reject(new Error('it is dead')) : work(...args)
                if (left-- === 0) await result.finally(() => Promise.reject(new Error('died behind a step')))
                return result
              }) as (...args: Args) => Promise<T>
            const dying: Ledger = {
              ...ledger,
              recall: may(ledger.recall),
              remember: may(ledger.remember),
              lease: may(ledger.lease),
              release: may(ledger.release),
              summary: may(ledger.summary),
            }
            await run({}, { ledger: dying, send: may(send) }).catch(() => {})
          }
        }
        await clock.advance(2 * minuteMs)
        Object.assign(state, { summary: calm, taken: true })
        await run()
        await run()
        const begins = state.told.filter(({ type }) => !type.endsWith('recovered'))
        const ends = state.told.filter(({ type }) => type.endsWith('recovered'))
        for (const type of seen) expect(begins.map((one) => one.type)).toContain(type)
        // Whatever began is over, for the receiver too: the last word about each is its end.
        for (const name of new Set(state.told.map(({ id }) => id.replace(/_\d+(_recovered)?$/, '')))) {
          const about = state.told.filter(({ id }) => id.replace(/_\d+(_recovered)?$/, '') === name)
          expect(about.at(-1)?.type, name).toMatch(/recovered$/)
        }
        expect(ends.length).toBeGreaterThanOrEqual(new Set(begins.map(({ type }) => type)).size)
        // Under one id at most once more for each run that failed or overlapped.
        const faults = steps.filter(({ fault }) => fault !== 'none').length
        for (const { id } of state.told)
          expect(state.told.filter((other) => other.id === id).length).toBeLessThanOrEqual(1 + faults)
      }),
      { numRuns: 150 },
    )
  })
})

describe('a message', () => {
  const message = {
    id: 'alert_breaker_open_1',
    type: 'breaker.open',
    recovered: false,
    atMs: nowMs,
    data: { cause: 'unavailable' },
  } as const
  const clock = { now: () => Date.now(), after: fakeClock().after }
  const sent = async (answer: () => Promise<Response> | Response, secrets = [new Uint8Array(secret)]) => {
    const requests: Request[] = []
    const send = alertSender({
      url: 'https://alerts.example/hook?key=planted',
      secrets,
      relay: 'demo',
      fetch: async (input, init) => {
        requests.push(new Request(input as string, init))
        return answer()
      },
      clock,
    })
    const why = await send(message)
    const [request] = requests
    if (request === undefined) throw new Error('nothing was sent')
    return { why, request, body: await request.text() }
  }

  it('is a Standard Webhook, as the standardwebhooks library verifies it, under each secret of a rotation', async () => {
    const other = Buffer.alloc(32, 9)
    const { why, request, body } = await sent(() => new Response('ok'), [new Uint8Array(other), new Uint8Array(secret)])
    expect(why).toBeUndefined()
    const headers = Object.fromEntries(request.headers)
    for (const one of [secret, other])
      expect(new Webhook(`whsec_${one.toString('base64')}`).verify(body, headers)).toEqual({
        type: 'breaker.open',
        timestamp: '2026-09-21T14:13:20.000Z',
        data: { relay: 'demo', cause: 'unavailable' },
      })
    expect(() => new Webhook(`whsec_${Buffer.alloc(32).toString('base64')}`).verify(body, headers)).toThrow()
    expect(request.redirect).toBe('manual')
  })

  it.each<[string, () => Promise<Response> | Response, string]>([
    ['a status', () => new Response('no', { status: 503 }), 'status 503'],
    [
      'a redirect',
      () => new Response(null, { status: 302, headers: { location: 'http://elsewhere.example' } }),
      'status 302',
    ],
    ['no connection', () => Promise.reject(new TypeError('https://alerts.example/hook?key=planted')), 'TypeError'],
  ])('that is not taken says why, and never where to: %s', async (_, answer, why) => {
    expect((await sent(answer)).why).toBe(why)
  })

  it('is given up after five seconds', async () => {
    const fake = fakeClock()
    let asked = () => {}
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve
    })
    const send = alertSender({
      url: 'https://alerts.example/',
      secrets: [new Uint8Array(secret)],
      relay: 'demo',
      fetch: (_, init) =>
        new Promise((_resolve, reject) => {
          init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))
          asked()
        }),
      clock: fake,
    })
    const why = send(message)
    await isAsked
    await fake.advance(5_000)
    expect(await why).toBe('TimeoutError')
  })
})
