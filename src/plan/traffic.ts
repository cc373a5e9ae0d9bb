/** The updates of a shape, one after another. */
import { seededDraw, zipfDraw } from './random.ts'
import type { Shape } from './shape.ts'

/**
 * Takes one update. The arrays are used again for the next one.
 *
 * @param atMs when it arrives, epoch ms; never before the one before it
 * @param visitor its place in the ring of visitors, from 0
 * @param registers what it sets: the (visitor, attribute) pairs, numbered from 0
 * @param values a number for each value, the same only for the same value
 * @param count how many of both arrays are its own
 */
export type Take = (atMs: number, visitor: number, registers: Int32Array, values: Int32Array, count: number) => void

const dayMs = 86_400_000

/** Updates that arrive evenly, each day at the same times. */
interface Stream {
  readonly atMs: number
  readonly gapMs: number
  readonly perDay: number
  sent: number
  nextMs: number
}

/** @param startMs midnight UTC of the first day */
export function sendShape(
  shape: Shape,
  { startMs, days, seed }: { readonly startMs: number; readonly days: number; readonly seed: number },
  take: Take,
): void {
  const send = updatesOf(shape, seed, take)
  for (let day = 0; day < days; day++) {
    const streams = streamsOf(shape, startMs + day * dayMs)
    for (;;) {
      let first: Stream | undefined
      for (const stream of streams)
        if (stream.sent < stream.perDay && (first === undefined || stream.nextMs < first.nextMs)) first = stream
      if (first === undefined) break
      const { nextMs } = first
      first.sent++
      first.nextMs = first.atMs + (first.sent + 0.5) * first.gapMs
      send(nextMs)
    }
  }
}

/** Sends one update of a visitor that is drawn, each time it is called. */
export function updatesOf(shape: Shape, seed: number, take: Take): (atMs: number) => void {
  const draw = seededDraw(seed)
  const drawVisitor = zipfDraw(shape.visitors, shape.exponent, draw)
  const choose = chooser(shape, draw)
  return (atMs) => {
    const visitor = drawVisitor()
    choose(visitor)
    take(atMs, visitor, choose.registers, choose.values, choose.count)
  }
}

function streamsOf(shape: Shape, midnightMs: number): readonly Stream[] {
  const inBatches = shape.batches.reduce((sum, { updates }) => sum + updates, 0)
  const rest = { updates: shape.perDay - inBatches, atMs: shape.fromMs, overMs: shape.toMs - shape.fromMs }
  return [rest, ...shape.batches].map(({ updates, atMs, overMs }) => {
    const perDay = Math.round(updates)
    const gapMs = overMs / Math.max(1, perDay)
    return { atMs: midnightMs + atMs, gapMs, perDay, sent: 0, nextMs: midnightMs + atMs + gapMs / 2 }
  })
}

interface Chooser {
  (visitor: number): void
  readonly registers: Int32Array
  readonly values: Int32Array
  readonly count: number
}

/** Which attributes an update sets, and to what. Attributes that always come together have one register. */
function chooser(shape: Shape, draw: () => number): Chooser {
  const together = shape.attributes === shape.ofAttributes
  const stride = together ? 1 : shape.ofAttributes
  const count = together ? 1 : shape.attributes
  const unchanged = shape.unchanged ?? 0
  const names = Int32Array.from({ length: stride }, (_, name) => name)
  const registers = new Int32Array(count)
  const values = new Int32Array(count)
  const held = new Int32Array(shape.visitors * stride)
  let newest = 0
  const choose = (visitor: number) => {
    const isNew = unchanged === 0 || draw() >= unchanged
    if (isNew) newest++
    for (let at = 0; at < count; at++) {
      if (!together) swap(names, at, at + Math.floor(draw() * (stride - at)))
      const register = visitor * stride + (names[at] ?? 0)
      // The first of a register is always new.
      if (isNew || held[register] === 0) held[register] = isNew ? newest : ++newest
      registers[at] = register
      values[at] = held[register] ?? 0
    }
  }
  return Object.assign(choose, { registers, values, count })
}

function swap(names: Int32Array, one: number, other: number): void {
  const held = names[one] ?? 0
  names[one] = names[other] ?? 0
  names[other] = held
}
