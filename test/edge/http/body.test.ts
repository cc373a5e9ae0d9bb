/** Reading bodies from anybody: byte for byte, and bounded however they arrive. */
import { describe, expect, it } from 'vitest'
import { defaultLimits } from '../../../src/core/limits.ts'
import { type BodyRoom, parseJsonBody, readBody } from '../../../src/edge/http/body.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'

const request = (body: ReadableStream<Uint8Array>) =>
  new Request('https://relay.example/', { method: 'POST', body, duplex: 'half' } as RequestInit)
const inPieces = (bytes: Uint8Array, size: () => number) => {
  let at = 0
  return new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const to = Math.min(bytes.byteLength, at + size())
      controller.enqueue(bytes.slice(at, to))
      at = to
      if (at === bytes.byteLength) controller.close()
    },
  })
}
const stalled = (first: number) =>
  new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array(first)) })

describe('a body', () => {
  it.each([1, 4_095, 4_096, 4_097, 100_000])(
    'of %i bytes is read byte for byte, in whatever chunks it arrives',
    async (length) => {
      const random = seededRandom(length)
      const bytes = Uint8Array.from({ length }, () => Math.floor(256 * random.fraction()))
      const read = await readBody(
        request(inPieces(bytes, () => 1 + Math.floor(9_000 * random.fraction() ** 4))),
        length,
        fakeClock(),
      )
      expect(read.ok && Buffer.compare(read.bytes, bytes)).toBe(0)
    },
  )

  it('one byte over the limit is too large, whatever its Content-Length says', async () => {
    const read = await readBody(request(inPieces(new Uint8Array(101), () => 7)), 100, fakeClock())
    expect(read).toEqual({ ok: false, problem: 'too-large' })
  })

  it('is read into one buffer that doubles: 50,000 chunks of one byte take less than twice their size', async () => {
    const room: BodyRoom = { maxBytes: Number.MAX_SAFE_INTEGER, heldBytes: 0 }
    let most = 0
    const body = inPieces(new Uint8Array(50_000), () => {
      most = Math.max(most, room.heldBytes)
      return 1
    })
    expect((await readBody(request(body), 1_000_000, fakeClock(), room)).ok).toBe(true)
    expect(most).toBeGreaterThanOrEqual(50_000)
    expect(most).toBeLessThanOrEqual(100_000)
    expect(room.heldBytes).toBe(0)
  })

  it('for which the others leave no room is answered with a retry; the room of an aborted body is freed', async () => {
    const clock = fakeClock()
    const room: BodyRoom = { maxBytes: 10_000, heldBytes: 0 }
    const slow = readBody(request(stalled(8_000)), 100_000, clock, room)
    await clock.advance(1)
    expect(await readBody(request(stalled(8_000)), 100_000, clock, room)).toEqual({ ok: false, problem: 'unavailable' })
    await clock.advance(10_000)
    expect(await slow).toEqual({ ok: false, problem: 'too-slow' })
    expect(room.heldBytes).toBe(0)
    expect((await readBody(request(inPieces(new Uint8Array(8_000), () => 100)), 100_000, clock, room)).ok).toBe(true)
  })
})

describe('JSON', () => {
  const nested = (depth: number) => new TextEncoder().encode(`${'['.repeat(depth)}${']'.repeat(depth)}`)
  it('is accepted up to the depth limit, and not one level deeper', () => {
    expect(parseJsonBody(nested(defaultLimits.jsonDepth))).toBeDefined()
    expect(parseJsonBody(nested(defaultLimits.jsonDepth + 1))).toBeUndefined()
    expect(defaultLimits.jsonDepth).toBe(32)
  })
})
