/** Every example of docs/senders.md: linted, on its page, and sent what its sender sends. `test/runtimes` sends it over sockets. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath, URL } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { lintSource } from '../../src/cli/lint.ts'
import { checkSources } from '../../src/edge/source/check.ts'
import { appOf } from '../corpus/app.ts'
import { createWorld } from '../support/world.ts'
import { vendorKeys } from './keys.ts'
import { hookSecrets, requestOf, requests } from './requests.ts'
import { examples, sources } from './sources.ts'
import { vendorFetch } from './vendors.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const files = globSync('docs/examples/senders/*.ts', { cwd: root })
const read = (file: string) => readFileSync(root + file, 'utf8')
const squeezed = (code: string) => code.replace(/\s+/g, '').replace(/,(?=[)}\]])/g, '')

afterEach(() => vi.unstubAllGlobals())

describe('the examples', () => {
  it('are all under test', () => {
    expect(examples).toHaveLength(files.length)
    expect(files.length).toBeGreaterThanOrEqual(25)
    expect(checkSources(sources, { retentionMs: 259_200_000 })).toEqual([])
  })

  it.each(examples.map((one) => [one.name, one] as const))('%s: the lint finds nothing', async (name, source) => {
    expect(await lintSource(source, hookSecrets.get(name) ?? [], true)).toEqual([])
  })

  it.each(examples.map(({ name }) => name))('%s: at least one of its requests changes a profile', (name) => {
    const own = requests.filter(({ source }) => source === name)
    expect(own.some(({ expected }) => expected.profiles !== undefined)).toBe(true)
  })
})

describe('docs/senders.md', () => {
  const page = read('docs/senders.md')
  const sections = page.split(/^### /m).slice(1)

  it.each(files)('%s has a section, with its name in the address and its mapping as it is in the file', (file) => {
    const own = sections.filter((section) => section.includes(`](${file.replace('docs/', '')})`))
    expect(own).toHaveLength(1)
    const code = read(file)
    const maps = [...(own[0] ?? '').matchAll(/^- \*\*Map\*\*: `(.+)`$/gm)].map(([, map = '']) => map)
    expect(maps).toHaveLength(1)
    for (const map of maps) expect(squeezed(code)).toContain(squeezed(map))
    const name = /source\('([a-z0-9-]+)'/.exec(code)?.[1]
    expect(own[0]).toContain(`/hooks/${name}`)
  })

  it('says of every sender where to set it up, what it repeats, and what is not authenticated', () => {
    for (const section of sections)
      for (const word of ['- **There**:', '- **Sends again**:', '- **Not authenticated**:', '- **Here**:'])
        expect(section).toContain(word)
  })
})

describe('requests as the senders make them', () => {
  it.each(requests.map((one) => [one.name, one.expected.what, one] as const))('%s: %s', async (_name, _what, one) => {
    const { status, answer, headers = {}, profiles = {}, dead = [] } = one.expected
    const asked: string[] = []
    const nothingElse = async (input: unknown) => {
      asked.push(String(input))
      throw new TypeError('nothing else may be fetched')
    }
    vi.stubGlobal('fetch', vendorFetch(vendorKeys, nothingElse as typeof globalThis.fetch))
    const world = await createWorld()
    const given = await appOf(world, { sources, hookSecrets })(await requestOf(one, world.clock.now(), 'relay.example'))
    await world.settled()
    expect(given.status, given.text).toBe(status)
    if (typeof answer === 'string') expect(given.text).toBe(answer)
    else expect(JSON.parse(given.text)).toMatchObject(answer)
    for (const [name, value] of Object.entries(headers)) expect(given.headers.get(name), name).toBe(value)
    const sent = [...world.target.profiles].map(([visitor, pairs]) => [visitor, Object.fromEntries(pairs)])
    expect(Object.fromEntries(sent)).toEqual(profiles)
    const kept = (await world.backlog.listDead()).items.flatMap((item) =>
      'dead' in item ? [[item.dead.reason, item.dead.detail]] : [['unreadable']],
    )
    expect(kept).toEqual(dead.map(([reason, detail]) => [reason, expect.stringContaining(detail)]))
    expect(asked).toEqual([])
  })
})
