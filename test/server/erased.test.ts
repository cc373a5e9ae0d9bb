/** What is on disk: nothing of a person who was erased, and nothing that other users of the machine can read. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { testSecrets } from '../support/secrets.ts'
import { signedHook } from '../support/sender.ts'
import { startServer } from '../support/server.ts'

const canary = 'canary-of-a-person'
const visitor = { thirdPartyId: 'person-4711' }

/** A server that has the person in its backlog, and in dead letters of bodies that no mapping reads. */
async function withPerson() {
  const emulator = await startEmulator({ autoSeed: true })
  const server = await startServer(emulator.origin)
  await server.relay.operator.pause(true)
  for (let number = 0; number < 5; number++) {
    const deferred = await fetch(`${server.url}/v1/updates`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ visitor, attributes: { note: `${canary} ${number} ${'x'.repeat(9_000 * number)}` } }),
    })
    expect(deferred.status).toBe(202)
    const { path, headers, body } = signedHook('call-centre', `m${number}`, { customer: 'person-4711', note: canary })
    expect((await fetch(`${server.url}${path}`, { method: 'POST', headers, body })).status).toBe(202)
  }
  const filesWith = (text: string) =>
    readdirSync(server.folder).filter((name) => readFileSync(join(server.folder, name)).includes(text))
  return {
    server,
    filesWith,
    [Symbol.asyncDispose]: async () => {
      await server.stop()
      await emulator.close()
    },
  }
}

describe('a person who was erased', () => {
  it('is in no byte of any file', async () => {
    await using person = await withPerson()
    const { server, filesWith } = person
    expect(filesWith(canary)).not.toEqual([])
    expect(await server.relay.operator.erase(visitor)).toEqual({
      entries: 5,
      deadLetters: 5,
      mentioned: 0,
      unreadable: 0,
      complete: true,
    })
    expect([filesWith(canary), filesWith(visitor.thirdPartyId)]).toEqual([[], []])
  })

  it('is not reported as erased while another process reads an older state of the file', {
    timeout: 20_000,
  }, async () => {
    await using person = await withPerson()
    const { server, filesWith } = person
    const reader = new DatabaseSync(join(server.folder, 'relay.sqlite'))
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM relay_backlog').all()
    const erased = await server.relay.operator.erase(visitor)
    expect(erased).toMatchObject({
      entries: 5,
      deadLetters: 5,
      complete: false,
      todo: expect.stringContaining('end whatever else reads the file'),
    })
    reader.close()
    expect(await server.relay.operator.erase(visitor)).toMatchObject({ entries: 0, complete: true })
    expect(filesWith(canary)).toEqual([])
  })
})

describe('the files of a server', () => {
  it('can be read by their owner only', async () => {
    await using person = await withPerson()
    const { folder } = person.server
    const names = readdirSync(folder)
    expect(names).toEqual(expect.arrayContaining(['relay.sqlite', 'relay.sqlite-wal', 'relay.sqlite-witness']))
    for (const name of names)
      expect([name, (statSync(join(folder, name)).mode & 0o777).toString(8)]).toEqual([name, '600'])
  })
})
