/** Counts that wait for the next settle. */
import { expect, it } from 'vitest'
import type { Counters, Ledger } from '../../../src/core/ledger/port.ts'
import { newUntoldMemory, withUntold } from '../../../src/core/ledger/untold.ts'

function watched(sources?: ReadonlySet<string>) {
  const told: Counters[] = []
  const state = { silent: false }
  const settle: Ledger['settle'] = async (_, counts = {}) => {
    if (state.silent) throw new Error('silent')
    told.push(counts)
  }
  return { told, state, ...withUntold({ settle }, newUntoldMemory(), sources) }
}

it('go with the next settle, once', async () => {
  const { told, ledger, untold } = watched()
  untold.add({ 'crm/live/received': 1 })
  untold.add({ 'crm/live/received': 2, 'crm/live/calls': 1 })
  expect(untold.any()).toBe(true)
  await ledger.settle([], { 'crm/live/received': 4, 'api/live/received': 1 })
  await ledger.settle([])
  expect(untold.any()).toBe(false)
  expect(told).toEqual([{ 'crm/live/received': 7, 'crm/live/calls': 1, 'api/live/received': 1 }, {}])
})

it('wait again if the settle fails, without what it was asked to count itself', async () => {
  const { told, state, ledger, untold } = watched()
  untold.add({ 'crm/live/received': 1 })
  state.silent = true
  await expect(ledger.settle([], { 'api/live/received': 1 })).rejects.toThrow('silent')
  untold.add({ 'crm/live/received': 1 })
  state.silent = false
  await ledger.settle([])
  expect(told).toEqual([{ 'crm/live/received': 2 }])
})

it('have a line for each configured source, and one for all others', async () => {
  const { told, ledger } = watched(new Set(['crm', '__proto__', '_several']))
  await ledger.settle([], {
    'crm/live/received': 1,
    'gone/replay/replayed': 2,
    'removed/replay/replayed': 3,
    '_several/replay/calls': 1,
    '__proto__/live/received': 1,
  })
  expect(told).toEqual([
    {
      'crm/live/received': 1,
      '_other/replay/replayed': 5,
      '_several/replay/calls': 1,
      '__proto__/live/received': 1,
    },
  ])
})
