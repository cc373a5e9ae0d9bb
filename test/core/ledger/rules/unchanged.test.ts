import { describe, expect, it } from 'vitest'
import { judge, type Register, settled } from '../../../../src/core/ledger/rules/register.ts'
import { isUnchanged, skipped } from '../../../../src/core/ledger/rules/unchanged.ts'
import { at, contractSettings } from '../../../contract/ledger.ts'

const startMs = 1_790_000_000_000
const value = { stamp: at(0), hash: 'gold', atMs: startMs }
const known: Register = { done: at(0), value }
const open = { stamp: at(-5), atMs: 0, token: '' }
const minuteMs = 60_000

describe('what is unchanged', () => {
  it.each<[string, Register | undefined, string | undefined, boolean]>([
    ['the value that was delivered last', known, 'gold', true],
    ['another value', known, 'silver', false],
    ['a value of a source that does not skip', known, undefined, false],
    ['nothing known', undefined, 'gold', false],
    ['nothing known of the value', { done: at(0) }, 'gold', false],
    ['another one was delivered since', { ...known, done: at(1) }, 'gold', false],
    ['an attempt is open, however old', { ...known, open }, 'gold', false],
    [
      'its delivery is ahead of the clock',
      { ...known, value: { ...value, atMs: startMs + 6 * minuteMs } },
      'gold',
      false,
    ],
  ])('%s', (_, register, hash, expected) => {
    expect(isUnchanged(register, hash, 0, startMs)).toBe(expected)
  })

  const verdict = (around: { erasedMs?: number; lostMs?: number }, nowMs = startMs + 10) =>
    judge(known, at(10), nowMs, { lane: 'live', ...around }, contractSettings, 'gold')
  it('was delivered after the last loss and the last erasure, within the retention', () => {
    expect(verdict({})).toBe('unchanged')
    expect(verdict({ lostMs: startMs - 1 })).toBe('unchanged')
    expect(verdict({ lostMs: startMs })).toBe('send')
    expect(verdict({ erasedMs: startMs })).toBe('send')
    expect(verdict({}, startMs + contractSettings.retentionMs)).toBe('unchanged')
    expect(verdict({}, startMs + contractSettings.retentionMs + 1)).toBe('send')
  })

  it('moves `done`, and not the time of its delivery', () => {
    expect(skipped(known, at(9))).toEqual({ done: at(9), value: { ...value, stamp: at(9) } })
  })

  it('is dated by the admission of the call that delivered it', () => {
    const attempt = { open: { stamp: at(3), atMs: startMs + 3, token: 'mine' } }
    expect(settled(attempt, at(3), 'delivered', 'mine', 'gold').register).toEqual({
      done: at(3),
      value: { stamp: at(3), hash: 'gold', atMs: startMs + 3 },
    })
    expect(settled(attempt, at(3), 'delivered', 'another', 'gold').register.value).toBeUndefined()
    expect(settled(attempt, at(3), 'delivered', 'mine').register.value).toBeUndefined()
  })
})
