/** Schemas that several routes share. */
import * as z from 'zod'
import { problemTypes } from '../http/problem.ts'
import { answer, request } from './operation.ts'

/** ISO 8601 in UTC. */
export const time = answer('Time', z.iso.datetime())
export const count = z.int().min(0)
/** By name: how many. */
export const counts = answer('Counts', z.record(z.string(), count))
/** The latest time of a JavaScript date. */
const maxTimeMs = 8_640_000_000_000_000
export const timeMs = z.number().min(0).max(maxTimeMs).describe('Epoch ms')

/** What `validateVisitor` (core) accepts. */
export const visitor = request(
  'Visitor',
  z.xor([
    z.strictObject({
      thirdPartyId: z
        .string()
        .min(1)
        .max(256)
        .regex(/^[^+/\p{Cc}]+$/u),
    }),
    z.strictObject({
      pcId: z
        .string()
        .max(128)
        .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?$/),
    }),
  ]),
)

export const problem = answer(
  'Problem',
  z.object({
    type: z.enum(problemTypes.map((type) => `/problems/${type}` as const)),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    id: z.string().optional().describe('Of the update'),
    results: z
      .array(z.looseObject({ id: z.string().optional(), status: z.string() }))
      .optional()
      .describe('Of a batch'),
  }),
)

/** What a list shows of a dead letter. */
export const listed = {
  key: z.string(),
  reason: z.string(),
  source: z.string().optional(),
  at: time.optional(),
  firstSeenAt: time.optional(),
  attempts: count.optional(),
  detail: z.string().optional().describe("Target's own words, or why it could not be mapped"),
  visitor: z.string().optional().describe('Keyed hash'),
}
