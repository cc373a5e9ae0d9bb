/** A part of a moving state in pieces of bounded size, so that no step that takes one in is long. */
import type { MovedState, MovedVisitor } from './moved.ts'

/**
 * Each holds at most `registersTogether` registers, events and visitors; a visitor with more is in several, since
 * registers join what is known. The first piece carries what is to be taken in once. A part within the bound is one
 * piece.
 */
export function* piecesOf(
  { units, visitors, events, ...alone }: MovedState,
  registersTogether: number,
): Generator<MovedState> {
  let first: Omit<MovedState, 'visitors' | 'events'> = { units, ...alone }
  let piece = { visitors: [] as MovedVisitor[], events: [] as MovedState['events'][number][] }
  let room = registersTogether
  function* filled(size: number): Generator<MovedState> {
    room -= Math.max(1, size)
    if (room > 0) return
    yield { ...first, ...piece }
    first = { units: [] }
    piece = { visitors: [], events: [] }
    room = registersTogether
  }
  for (const visitor of visitors) {
    let taken = 0
    do {
      const registers = visitor.registers.slice(taken, taken + room)
      piece.visitors.push({ ...visitor, registers })
      taken += registers.length
      yield* filled(registers.length)
    } while (taken < visitor.registers.length)
  }
  for (const event of events) {
    piece.events.push(event)
    yield* filled(1)
  }
  if (first.units === units || piece.visitors.length + piece.events.length > 0) yield { ...first, ...piece }
}
