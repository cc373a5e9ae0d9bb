/** Mapping a dead letter again: it is only removed when nothing of it can be lost (G2). */
import { describe, expect, it } from 'vitest'
import type { DeadLetter, KeptDead, Unreadable } from '../../../src/core/backlog/port.ts'
import type { Receipt } from '../../../src/core/delivery/receipt.ts'
import { createRemap, type Reading } from '../../../src/core/operator/remap.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import type { Update } from '../../../src/core/update/update.ts'

const letter: DeadLetter = {
  reason: 'unmappable',
  source: 'desk',
  atMs: 20,
  firstSeenMs: 10,
  attempts: 0,
  raw: '{"a":1}',
}
const update: Update = {
  visitor: { pcId: '1' },
  visitorHash: 'aa',
  attributes: [{ name: 'a', value: '1' }],
  stamp: makeStamp(10, 10, '0'.repeat(16)),
  source: 'desk',
}

function remapOf(
  kept: KeptDead | Unreadable | undefined,
  { reading, receipts = [] }: { reading?: Reading; receipts?: readonly Receipt[] } = {},
) {
  const seen: { deleted: string[]; mapped: unknown[]; delivered: unknown[] } = {
    deleted: [],
    mapped: [],
    delivered: [],
  }
  const remap = createRemap({
    backlog: { readDead: async () => kept, delete: async (key) => void seen.deleted.push(key) },
    map: async (given, arrivalMs) => {
      seen.mapped.push([given, arrivalMs])
      return reading ?? { ok: true, updates: receipts.map(() => update), lane: 'bulk' }
    },
    deliver: async (updates, lane) => {
      seen.delivered.push([updates, lane])
      return receipts
    },
  })
  return { remap: () => remap('d1/k'), seen }
}

describe('a dead letter that is mapped again', () => {
  it.each<[string, readonly Receipt[], boolean]>([
    ['delivered', [{ status: 'submitted', calls: 1 }], true],
    ['kept', [{ status: 'deferred', reason: 'quota' }], true],
    [
      'known, superseded or set aside',
      [{ status: 'duplicate' }, { status: 'superseded' }, { status: 'rejected' }],
      true,
    ],
    ['neither delivered nor kept', [{ status: 'unavailable' }], false],
    ['still in flight', [{ status: 'in_flight' }], false],
    ['all kept but one', [{ status: 'submitted', calls: 1 }, { status: 'in_flight' }, { status: 'duplicate' }], false],
  ])('%s: %j', async (_, receipts, removed) => {
    const { remap, seen } = remapOf({ key: 'd1/k', dead: letter }, { receipts })
    expect(await remap()).toEqual({ status: 'mapped', receipts, removed })
    expect(seen.deleted).toEqual(removed ? ['d1/k'] : [])
  })

  it('is mapped with the time it first arrived, on its source’s lane', async () => {
    const { remap, seen } = remapOf({ key: 'd1/k', dead: letter }, { receipts: [{ status: 'duplicate' }] })
    await remap()
    expect(seen.mapped).toEqual([[letter, letter.firstSeenMs]])
    expect(seen.delivered).toEqual([[[update], 'bulk']])
  })

  it('that now maps to nothing is removed without a delivery', async () => {
    const { remap, seen } = remapOf({ key: 'd1/k', dead: letter })
    expect(await remap()).toEqual({ status: 'mapped', receipts: [], removed: true })
    expect([seen.deleted, seen.delivered]).toEqual([['d1/k'], []])
  })

  it.each<[string, KeptDead | Unreadable | undefined, object]>([
    ['is gone', undefined, { status: 'gone' }],
    ['can’t be read', { key: 'd1/k', unreadable: 'x' }, { status: 'unreadable' }],
    [
      'was refused by Target, whatever it holds',
      { key: 'd1/k', dead: { ...letter, reason: 'rejected' } },
      { status: 'not_unmappable' },
    ],
    [
      'holds no event',
      { key: 'd1/k', dead: { ...letter, raw: undefined } as unknown as DeadLetter },
      { status: 'not_unmappable' },
    ],
  ])('that %s is left alone', async (_, kept, outcome) => {
    const { remap, seen } = remapOf(kept)
    expect(await remap()).toEqual(outcome)
    expect(seen).toEqual({ deleted: [], mapped: [], delivered: [] })
  })

  it('that still can’t be mapped stays', async () => {
    const { remap, seen } = remapOf({ key: 'd1/k', dead: letter }, { reading: { ok: false, reason: 'no' } })
    expect(await remap()).toEqual({ status: 'unmappable', reason: 'no' })
    expect([seen.deleted, seen.delivered]).toEqual([[], []])
  })
})
