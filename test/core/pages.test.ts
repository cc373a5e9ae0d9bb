import { expect, it } from 'vitest'
import { pagesOf } from '../../src/core/pages.ts'

const pages: Readonly<Record<string, { items: number[]; cursor?: string }>> = {
  first: { items: [1, 2], cursor: 'a' },
  a: { items: [], cursor: 'b' },
  b: { items: [3] },
}

it('gives every page up to the one without a cursor, including empty ones', async () => {
  const read: number[][] = []
  for await (const { items } of pagesOf(async (cursor = 'first') => pages[cursor] ?? expect.fail(cursor)))
    read.push(items)
  expect(read).toEqual([[1, 2], [], [3]])
})

it('begins at a cursor, and reads no page before it is needed', async () => {
  const asked: unknown[] = []
  for await (const { items } of pagesOf(async (cursor = 'first') => {
    asked.push(cursor)
    return pages[cursor] ?? expect.fail(cursor)
  }, 'a')) {
    expect(items).toEqual([])
    break
  }
  expect(asked).toEqual(['a'])
})

it('ends with the rejection of a page', async () => {
  const read = async () => {
    for await (const _ of pagesOf(() => Promise.reject(new Error('silent')))) expect.fail('read')
  }
  await expect(read()).rejects.toThrow('silent')
})
