/** `/admin/api/dead`: what was set aside. A visitor's id has no place in a URL: there its keyed hash stands for it. */
import { zValidator } from '@hono/zod-validator'
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { deadReasons } from '../../../core/backlog/port.ts'
import { given } from '../../../core/given.ts'
import type { DeadFilter } from '../../../core/operator/dead/letters.ts'
import { validateVisitor } from '../../../core/update/validate.ts'
import { problem } from '../../http/problem.ts'
import { jsonBody, refuse } from '../../http/valid.ts'
import type { PartsOf } from '../parts.ts'
import { recordingActs } from './audit.ts'
import { maxBodyBytes } from './bodies.ts'

const lettersByDefault = 50
const lettersAtMost = 1_000

const filterShape = {
  reason: z.enum(deadReasons).optional(),
  source: z.string().optional(),
  before: z.iso.datetime({ offset: true }).optional(),
}
const hash = z.string().regex(/^[0-9a-f]{32}$/)
const count = z.coerce.number().int().min(1).max(lettersAtMost).default(lettersByDefault)
export const listQuery = z.strictObject({
  ...filterShape,
  visitor: hash.optional(),
  cursor: z.string().optional(),
  limit: count,
})
/** In a body a visitor is its hash or, as in an update, its id. */
export const filterBody = z.strictObject({ ...filterShape, visitor: z.unknown().optional() })
export const listBody = filterBody.extend({ cursor: z.string().optional(), limit: count })

export const readQuery = z.strictObject({ reveal: z.enum(['0', '1']).optional() })

const notAList = refuse('malformed', {
  detail: `The parameters are reason, source, before (ISO 8601), visitor (its keyed hash), cursor and limit (1 to ${lettersAtMost}).`,
})
export const notAFilter = refuse('invalid', (issues) => ({
  errors: issues.map(({ path, message }) => ({ path: path.join('.'), message })),
}))

export function deadApi(partsOf: PartsOf<'operator' | 'clock' | 'log'>): Hono {
  const act = recordingActs(partsOf)
  const app = new Hono({ strict: false })
  const operatorOf = (c: Context) => partsOf(c).operator
  const clockOf = (c: Context) => partsOf(c).clock

  app.get('/', zValidator('query', listQuery, notAList), async (c) => {
    const { cursor, limit, visitor, ...asked } = c.req.valid('query')
    return c.json(await operatorOf(c).dead.list(filterOf(asked, visitor), limit, cursor))
  })
  app.post(
    '/list',
    jsonBody(() => listBody, notAFilter, { maxBytes: maxBodyBytes, clockOf }),
    async (c) => {
      const { cursor, limit, visitor, ...asked } = c.req.valid('json')
      const whose = await hashOf(c, visitor)
      if (whose instanceof Response) return whose
      return c.json(await operatorOf(c).dead.list(filterOf(asked, whose), limit, cursor))
    },
  )
  app.get(
    '/:version/:name',
    zValidator('query', readQuery, refuse('malformed', { detail: 'The query parameter reveal is 1 or 0.' })),
    async (c) => {
      const key = `${c.req.param('version')}/${c.req.param('name')}`
      const reveal = c.req.valid('query').reveal === '1'
      if (reveal) await act(c, 'dead_reveal', { key })
      const letter = await operatorOf(c).dead.read(key, reveal)
      return letter === undefined ? problem(c, 'not-found') : c.json(letter)
    },
  )
  return app

  /** The keyed hash of a visitor; the answer where it is none. */
  async function hashOf(c: Context, visitor: unknown): Promise<string | undefined | Response> {
    if (visitor === undefined) return undefined
    if (hash.safeParse(visitor).success) return String(visitor)
    const checked = validateVisitor(visitor)
    return checked.ok ? operatorOf(c).dead.hashOf(checked.visitor) : problem(c, 'invalid', { errors: checked.problems })
  }
}

export function filterOf(
  {
    reason,
    source,
    before,
  }: { reason?: DeadFilter['reason'] | undefined; source?: string | undefined; before?: string | undefined },
  visitorHash: string | undefined,
): DeadFilter {
  return given({ reason, source, beforeMs: before === undefined ? undefined : Date.parse(before), visitorHash })
}
