/** Duties: bounded by what they have together, apart from the flush, and apart from each other. */
import { describe, expect, it } from 'vitest'
import type { Duty } from '../../src/cron/duties.ts'
import { createWorld } from '../support/world.ts'

describe('duties', () => {
  it('run in their order, once the flush has ended', async () => {
    const world = await createWorld()
    const done: string[] = []
    const duty = (name: string): Duty => ({
      name,
      work: async (_, { stopped }) => void done.push(`${name} ${stopped}`),
    })
    await world.flushWith([duty('a'), duty('b')])
    expect(done).toEqual(['a drained', 'b drained'])
  })

  it('cost the others nothing where one fails, and the log names it', async () => {
    const world = await createWorld()
    let ran = false
    const report = await world.flushWith([
      { name: 'broken', work: () => Promise.reject(new RangeError('a value')) },
      {
        name: 'next',
        work: async () => {
          ran = true
        },
      },
    ])
    expect(report.stopped).toBe('drained')
    expect(ran).toBe(true)
    expect(world.logged).toContain(JSON.stringify({ event: 'duty_failed', duty: 'broken', error: 'RangeError' }))
  })

  it('have an end by time and by operations, which they share', async () => {
    const world = await createWorld()
    const counts: number[] = []
    const greedy: Duty = {
      name: 'greedy',
      work: async (share) => {
        let steps = 0
        for (; share.has(1); steps++) await world.backlog.list()
        counts.push(steps)
      },
    }
    await world.flushWith([greedy, greedy])
    // The flush took one of its 900 to see that nothing waits.
    expect(counts[0]).toBe(899)
    expect(counts[1]).toBe(0)
    let ticks = 0
    await world.flushWith([
      {
        name: 'slow',
        work: async (share) => {
          for (; share.has(); ticks++) await world.clock.advance(1_000)
        },
      },
    ])
    expect(ticks).toBe(45)
  })

  it('have something left after a flush that took all of its operations and time', async () => {
    const world = await createWorld()
    let steps = 0
    const duty: Duty = {
      name: 'duty',
      work: async (share) => {
        for (; share.has(1); steps++) await world.backlog.list()
      },
    }
    await world.flushWith([duty], { maxOperations: 1, maxMs: 0 })
    expect(steps).toBe(90)
  })

  it('are left to the run that holds the lease', async () => {
    const world = await createWorld()
    await world.ledger.lease('flush', 'another', 60_000)
    let ran = false
    const report = await world.flushWith([
      {
        name: 'duty',
        work: async () => {
          ran = true
        },
      },
    ])
    expect(report.stopped).toBe('leased')
    expect(ran).toBe(false)
  })
})
