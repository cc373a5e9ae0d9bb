/** The corpus at a relay in this process, and its completeness. `test/runtimes/corpus.test.ts` sends it over sockets. */
import { describe, expect, it } from 'vitest'
import * as presets from '../../src/edge/auth/presets.ts'
import { checkSources, secretProblem } from '../../src/edge/source/check.ts'
import { createWorld } from '../support/world.ts'
import { appOf } from './app.ts'
import { cases, folders, requestOf, secretsBySource } from './corpus.ts'
import { sources } from './sources.ts'

describe('the corpus', () => {
  it('has at least three requests of each preset', () => {
    const names = Object.values(presets).map(({ descriptors }) => descriptors[0]?.name)
    expect(folders.toSorted()).toEqual(names.toSorted())
    for (const folder of folders)
      expect(cases.filter((one) => one.folder === folder).length, folder).toBeGreaterThanOrEqual(3)
  })

  it('has for each preset a source that starts and has its secrets', async () => {
    expect(checkSources(sources, { retentionMs: 259_200_000 })).toEqual([])
    for (const source of sources)
      expect(await secretProblem(source, secretsBySource.get(source.name) ?? []), source.name).toBeUndefined()
  })
})

describe('requests as senders really send them', () => {
  it.each(cases.map((one) => [one.name, one.expected.what, one] as const))('%s: %s', async (_name, _what, one) => {
    const world = await createWorld()
    const { status, answer, profiles, quarantined } = one.expected
    const given = await appOf(world)(await requestOf(one, world.clock.now(), 'relay.example'))
    await world.settled()
    expect(given.status, given.text).toBe(status)
    if (answer === null) expect(given.text).toBe('')
    else expect(JSON.parse(given.text)).toMatchObject(answer)
    const sent = Object.fromEntries(
      [...world.target.profiles].map(([visitor, pairs]) => [visitor, Object.fromEntries(pairs)]),
    )
    expect(sent).toMatchObject(profiles)
    expect(Object.keys(sent).toSorted()).toEqual(Object.keys(profiles).toSorted())
    const dead = (await world.backlog.listDead()).items.map((item) =>
      'dead' in item ? JSON.stringify(item.dead) : 'unreadable',
    )
    expect(dead).toEqual(quarantined === undefined ? [] : [expect.stringContaining(quarantined)])
  })
})
