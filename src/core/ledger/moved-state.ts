/**
 * What a part of a ledger's state must look like before any ledger takes it in (`MovedState` in `moved.ts`): the one
 * schema for the route and for the command. A part that is taken in can't be taken back.
 */
import * as z from 'zod'
import { isStamp } from '../update/stamp.ts'
import type { MovedState } from './moved.ts'

/** 13 digits of milliseconds, as in a stamp. */
const maxTimeMs = 9_999_999_999_999
/**
 * How far ahead of the reader's clock a past event may be dated; a loss or an erasure in the future would hold
 * everything back until then.
 */
const clockToleranceMs = 24 * 3_600_000
const maxNameChars = 1_024

export type CheckedMovedState =
  | { readonly ok: true; readonly state: MovedState }
  | { readonly ok: false; readonly problem: string }

/**
 * @param nowMs epoch ms, by the reader's clock
 * @returns reads a part; the problem names a field and what it must be, never what it holds
 */
export function movedStateReader(nowMs: number): (part: unknown) => CheckedMovedState {
  const ms = z.number().min(0).max(maxTimeMs)
  const happenedMs = ms.max(Math.min(maxTimeMs, nowMs + clockToleranceMs))
  const stamp = z.string().refine(isStamp)
  const hash = z.string().regex(/^[0-9a-f]{1,128}$/)
  const name = z.string().max(maxNameChars)
  const shape = z.strictObject({
    id: z.string().min(1).max(64).exactOptional(),
    lostMs: happenedMs.exactOptional(),
    life: z.strictObject({ epoch: z.string().regex(/^[0-9a-f]{1,64}$/), granted: z.int().min(0) }).exactOptional(),
    units: z.array(z.strictObject({ account: name, lastMs: ms, units: z.int().min(1) })),
    visitors: z.array(
      z.strictObject({
        hash,
        registers: z.array(z.strictObject({ name, done: stamp.exactOptional(), open: z.array(stamp) })),
        erasedMs: happenedMs.exactOptional(),
        keptUntilMs: ms,
      }),
    ),
    events: z.array(
      z.strictObject({
        event: hash,
        stamp,
        atMs: happenedMs,
        done: z.boolean(),
        rejected: z.literal(true).optional(),
        keptUntilMs: ms,
      }),
    ),
  })
  // A field that the port has and the schema has not would be refused on its way, and noticed here.
  void (shape.shape satisfies Record<keyof MovedState, z.ZodType>)
  return (part) => {
    const parsed = shape.safeParse(part)
    if (parsed.success) return { ok: true, state: parsed.data }
    const [issue] = parsed.error.issues
    const field = issue?.path.join('.') || 'the part'
    return {
      ok: false,
      problem: `${field}: ${issue?.code === 'unrecognized_keys' ? 'has fields that are not known' : issue?.message}`,
    }
  }
}
