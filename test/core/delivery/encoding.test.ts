/** An update is encoded once, and what is sent is exactly what was admitted. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Target } from '../../../src/core/wire/port.ts'
import { createWorld, type World } from '../../support/world.ts'

afterEach(() => vi.restoreAllMocks())

/** Which of the given texts were percent-encoded. */
function watchEncoding(texts: readonly string[]): readonly string[] {
  const encoded: string[] = []
  const encode = encodeURIComponent
  vi.spyOn(globalThis, 'encodeURIComponent').mockImplementation((text) => {
    if (texts.includes(String(text))) encoded.push(String(text))
    return encode(text)
  })
  return encoded
}

function watchCalls(world: World): { readonly target: Target; readonly sent: string[] } {
  const sent: string[] = []
  return {
    sent,
    target: {
      send: (call, startByMs) => {
        sent.push(`${call.method} ${call.names.join()}`)
        return world.target.send(call, startByMs)
      },
    },
  }
}

const two = { id: 'evt', attributes: { tier: 'gold', city: 'Oslo' } }

describe('an update that is sent whole', () => {
  it('is encoded once, for its check and for sending', async () => {
    const world = await createWorld()
    const encoded = watchEncoding(['tier', 'gold', 'city', 'Oslo', 'visitor-1'])
    const update = await world.update({ id: 'evt', attributes: two.attributes })
    expect(await world.deliver([update])).toEqual([{ status: 'submitted', calls: 1 }])
    expect(encoded.toSorted()).toEqual(['Oslo', 'city', 'gold', 'tier', 'visitor-1'])
    expect(world.profile()).toEqual(two.attributes)
  })

  it('is sent in the same calls that were checked', async () => {
    const world = await createWorld()
    const update = await world.update({ attributes: two.attributes })
    const sent: unknown[] = []
    const watched = world.isolate({
      target: {
        send: (call, startByMs) => {
          sent.push(call)
          return world.target.send(call, startByMs)
        },
      },
    })
    await watched.deliver([update])
    expect(sent).toHaveLength(1)
    expect(sent[0]).toBe(update.encoding?.calls[0])
  })
})

describe('calls that were encoded earlier', () => {
  it('are not sent if only some of the attributes may go', async () => {
    const world = await createWorld()
    await world.deliver([await world.update({ id: 'newer', attributes: { tier: 'platinum' } })])
    await world.clock.advance(60_000)
    const older = await world.update({ ...two, occurredAt: world.clock.now() - 120_000 })
    const { target, sent } = watchCalls(world)
    expect(await world.isolate({ target }).deliver([older])).toEqual([{ status: 'submitted', calls: 1 }])
    expect(sent).toEqual(['POST city'])
    expect(world.profile()).toEqual({ tier: 'platinum', city: 'Oslo' })
  })

  it('are not sent through a door with other settings', async () => {
    const world = await createWorld()
    const update = await world.update({ attributes: two.attributes })
    const { target, sent } = watchCalls(world)
    await world.isolate({ target, method: 'get' }).deliver([update])
    expect(sent).toEqual(['GET tier,city'])
  })

  it('are not sent for a part of the update', async () => {
    const world = await createWorld({ limits: { attributesPerAttempt: 2 } })
    const update = await world.update({ id: 'many', attributes: { a: 1, b: 2, c: 3, d: 4, e: 5 } })
    const { target, sent } = watchCalls(world)
    expect(await world.isolate({ target }).deliver([update])).toEqual([{ status: 'submitted', calls: 3 }])
    expect(sent).toEqual(['POST a,b', 'POST c,d', 'POST e'])
  })
})
