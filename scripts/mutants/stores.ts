/** The backlog in a Durable Object, and its move from one store to the other. */
import type { Mutant } from './mutant.ts'

const two = 'src/core/backlog/two-stores.ts'
const moving = ['test/core/backlog/two-stores.test.ts']
const object = ['test/core/backlog/object.test.ts']

export const storeMutants: readonly Mutant[] = [
  {
    name: 'what waits in the old store is forgotten once it was found empty',
    breaks: 'G2',
    file: two,
    find: 'memory.emptyAtMs !== undefined && Math.abs(now() - memory.emptyAtMs) < lookAgainMs',
    replace: 'memory.emptyAtMs !== undefined',
    tests: moving,
  },
  {
    name: 'a store that holds more than a page counts as empty',
    breaks: 'G2',
    file: two,
    find: 'note(old.items.length === 0 && old.cursor === undefined)',
    replace: 'note(true)',
    tests: moving,
  },
  {
    name: 'the pages of the new store are not read behind those of the old one',
    breaks: 'G2',
    file: two,
    find: "return side === 'from' ? marks.to : undefined",
    replace: 'return undefined',
    tests: moving,
  },
  {
    name: 'what was not read here is removed from the new store only',
    breaks: 'G9',
    file: two,
    find: "return side === undefined ? ['to', 'from'] : [side]",
    replace: "return side === undefined ? ['to'] : [side]",
    tests: moving,
  },
  {
    name: 'an exchange removes from the old store before the new one has it',
    breaks: 'G2',
    file: two,
    find: "      await to.exchange(puts, of('to'))\n      // Only once what takes its place is durable.\n      if (of('from').length > 0) await from.exchange([], of('from'))",
    replace:
      "      if (of('from').length > 0) await from.exchange([], of('from'))\n      await to.exchange(puts, of('to'))",
    tests: moving,
  },
  {
    name: 'a visitor is not looked for in a store that was found empty',
    breaks: 'G9',
    file: two,
    find: "const isWhole = (options.prefix ?? '') === '' && cursor === undefined",
    replace: 'const isWhole = cursor === undefined',
    tests: moving,
  },
  {
    name: 'a plan of the old store is unknown',
    breaks: 'G9',
    file: two,
    find: '(await to.readText(key)) ?? (await from.readText(key))',
    replace: 'to.readText(key)',
    tests: moving,
  },
  {
    name: 'a page of KV is passed over once a page of SQL ends inside of it',
    breaks: 'G2',
    file: two,
    find: 'lastOfKv <= end ? (inKv.cursor ?? null) : at.kv',
    replace: 'inKv.cursor ?? null',
    tests: moving,
  },
  {
    name: 'a page shows what lies behind what is known of the other store',
    breaks: 'G7',
    file: two,
    find: '.filter(({ key }) => key <= known)',
    replace: '',
    tests: moving,
  },
  {
    name: 'what is not counted has no heads',
    breaks: 'G9',
    file: 'src/core/backlog/sqlite.ts',
    find: 'heads: rows.counts === undefined ? heads : undefined',
    replace: 'heads: undefined',
    tests: ['test/core/backlog/backlog.test.ts'],
  },
  {
    name: 'a letter that no row of the object holds is put there',
    breaks: 'G2',
    file: two,
    find: '(dead.raw?.length ?? 0) <= rawCharsPerRow',
    replace: '(dead.raw?.length ?? 0) >= 0',
    tests: moving,
  },
  {
    name: 'a removal from the object waits for the next one',
    breaks: 'G7',
    file: 'src/workers/object-rows.ts',
    find: '        removing = undefined\n',
    replace: '',
    tests: object,
  },
]
