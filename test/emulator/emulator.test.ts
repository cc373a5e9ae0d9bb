import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RollingCounter } from '../../src/emulator/counter.ts'
import { decodeUpdate } from '../../src/emulator/decode.ts'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import type { Fault } from '../../src/emulator/faults.ts'

let emulator: Emulator
beforeEach(async () => {
  emulator = await startEmulator()
  emulator.profiles.seed('3p:known', { tier: 'silver' }, 0)
})
afterEach(() => emulator.close())

const update = (form = 'mbox3rdPartyId=known&profile.tier=gold', init: RequestInit = {}) =>
  fetch(`${emulator.origin}/m2/demo/profile/update`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form,
    redirect: 'manual',
    ...init,
  })
const tier = () => emulator.profiles.values('3p:known')?.['tier']

describe('the update endpoint', () => {
  it('accepts POST and GET, and answers with Target’s XML', async () => {
    expect(await (await update()).text()).toContain('<success>true</success>')
    expect(tier()).toBe('gold')
    await fetch(`${emulator.origin}/m2/demo/profile/update?mbox3rdPartyId=known&profile.tier=iron`)
    expect(tier()).toBe('iron')
  })

  it('creates no visitor, and answers with success all the same', async () => {
    expect((await update('mboxPC=stranger&profile.tier=gold')).status).toBe(200)
    expect(emulator.profiles.values('pc:stranger')).toBeUndefined()
    expect(emulator.statistics()).toMatchObject({ accepted: 1, unknownVisitor: 1 })
  })

  it.each([
    ['no id', 'profile.a=1'],
    ['both ids', 'mboxPC=1&mbox3rdPartyId=2&profile.a=1'],
    ['a repeated id', 'mboxPC=1&mboxPC=1&profile.a=1'],
    ['an empty id', 'mboxPC=&profile.a=1'],
    ['no attribute', 'mboxPC=1'],
    ['an unknown parameter', 'mboxPC=1&a=1'],
    ['a repeated attribute', 'mboxPC=1&profile.a=1&profile.a=2'],
    ['a broken escape', 'mboxPC=1&profile.a=%4'],
    ['broken UTF-8', 'mboxPC=1&profile.a=%c3'],
    ['a raw space', 'mboxPC=1&profile.a=b c'],
    ['raw non-ASCII', 'mboxPC=1&profile.a=ä'],
  ])('refuses %s', (_, form) => {
    expect(typeof decodeUpdate(form)).toBe('string')
  })

  it('enforces its token, its client code and its size limits', async () => {
    const strict = await startEmulator({ token: 'secret', maxBodyBytes: 100 })
    const send = (path: string, headers: Record<string, string>, body = 'mboxPC=1&profile.a=1') =>
      fetch(`${strict.origin}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body,
      })
    expect((await send('/m2/demo/profile/update', {})).status).toBe(403)
    const bearer = { authorization: 'Bearer secret' }
    expect((await send('/m2/other/profile/update', bearer)).status).toBe(404)
    expect((await send('/m2/demo/profile/update', bearer, `mboxPC=1&profile.a=${'x'.repeat(100)}`)).status).toBe(413)
    expect((await send('/m2/demo/profile/update', bearer)).status).toBe(200)
    expect(strict.statistics()).toMatchObject({ calls: 4, accepted: 1 })
    await strict.close()
  })

  it('drops the oldest attributes of a profile over 64 KB', async () => {
    for (const name of ['a', 'b', 'c']) await update(`mbox3rdPartyId=known&profile.${name}=${'x'.repeat(30_000)}`)
    expect(Object.keys(emulator.profiles.values('3p:known') ?? {})).toEqual(['b', 'c'])
  })

  it('shows a profile as Target’s fetch does', async () => {
    const found = await fetch(`${emulator.origin}/rest/v1/profiles/thirdPartyId/known?client=demo`)
    expect(await found.json()).toMatchObject({ client: 'demo', profileAttributes: { tier: { value: 'silver' } } })
    expect((await fetch(`${emulator.origin}/rest/v1/profiles/stranger?client=demo`)).status).toBe(404)
  })
})

describe('faults', () => {
  const outcomes: [fault: Fault, status: number | 'reset', taken: boolean][] = [
    [{ kind: 'status', status: 503, headers: { 'retry-after': '7' } }, 503, false],
    [{ kind: 'refuse', message: 'no' }, 200, false],
    [{ kind: 'body', body: '<html/>' }, 200, true],
    [{ kind: 'delay', delayMs: 5 }, 200, true],
    [{ kind: 'reset-before' }, 'reset', false],
    [{ kind: 'reset-after' }, 'reset', true],
    [{ kind: 'drop' }, 200, false],
  ]
  it.each(outcomes)('%j', async (fault, status, taken) => {
    emulator.faults.add({ ...fault, count: 1 })
    const seen = await update().then(
      (response) => response.status,
      () => 'reset',
    )
    expect(seen).toBe(status)
    expect(tier()).toBe(taken ? 'gold' : 'silver')
    expect((await update()).status).toBe(200)
  })

  it.each([true, false])('a hang, update applied: %s', async (take) => {
    emulator.faults.add({ kind: 'hang', take, count: 1 })
    await expect(update(undefined, { signal: AbortSignal.timeout(200) })).rejects.toThrow()
    expect(tier()).toBe(take ? 'gold' : 'silver')
  })

  it('can be limited to an attribute or a share of the calls, and set over HTTP', async () => {
    await fetch(`${emulator.origin}/__emulator/faults`, {
      method: 'POST',
      body: JSON.stringify({ kind: 'status', status: 500, attribute: 'bad' }),
    })
    expect((await update()).status).toBe(200)
    expect((await update('mbox3rdPartyId=known&profile.bad=1')).status).toBe(500)
    await fetch(`${emulator.origin}/__emulator/faults`, { method: 'DELETE' })
    emulator.faults.add({ kind: 'status', status: 500, share: 0.5, seed: 3 })
    const statuses = []
    for (let n = 0; n < 40; n++) statuses.push((await update()).status)
    expect(statuses.filter((status) => status === 500).length).toBeGreaterThan(8)
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(8)
  })
})

describe('counting', () => {
  it('counts every call at arrival, whatever its outcome', async () => {
    emulator.faults.add({ kind: 'status', status: 500, count: 1 })
    await update()
    await update('nonsense')
    await update()
    expect(emulator.statistics()).toMatchObject({ calls: 3, accepted: 1, malformed: 1, maxInWindow: 3 })
  })

  it('reports the most calls in any rolling window', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 80 }),
        fc.integer({ min: 1, max: 200 }),
        (gaps, windowMs) => {
          const counter = new RollingCounter(windowMs)
          const times: number[] = []
          let nowMs = 0
          for (const gap of gaps) {
            nowMs += gap
            times.push(nowMs)
            counter.add(nowMs)
          }
          const most = Math.max(
            0,
            ...times.map((end) => times.filter((time) => time > end - windowMs && time <= end).length),
          )
          expect(counter.mostInWindow).toBe(most)
        },
      ),
    )
  })
})
