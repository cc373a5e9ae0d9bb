/** `/admin/api/dead`: what was set aside. A visitor's id has no place in a URL: there its keyed hash stands for it. */
import { zValidator } from '@hono/zod-validator'
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import { deadReasons } from '../../../core/backlog/port.ts'
import { given } from '../../../core/given.ts'
import type { DeadFilter } from '../../../core/operator/dead/letters.ts'
import { type Plan, planActions } from '../../../core/operator/dead/plan.ts'
import { isoTime } from '../../../core/time.ts'
import { validateVisitor } from '../../../core/update/validate.ts'
import { decodeUtf8, readBody } from '../../http/body.ts'
import { problem } from '../../http/problem.ts'
import { jsonBody, refuse } from '../../http/valid.ts'
import type { Operator, PartsOf } from '../parts.ts'
import { recordingActs } from './audit.ts'
import { maxBodyBytes } from './bodies.ts'

const lettersByDefault = 50
const lettersAtMost = 1_000
/** As many keys as a plan may name. */
const maxPlanBytes = 65_536
/** A letter takes up to 15 MB. */
const maxImportBytes = 16_777_216

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

export const readQuery = z.strictObject({ reveal: z.enum(['0', '1']).optional(), remap: z.enum(['0', '1']).optional() })

export const planBody = z.strictObject({
  action: z.enum(planActions),
  asNew: z.boolean().optional(),
  filter: filterBody.optional(),
  keys: z.array(z.string()).min(1).max(lettersAtMost).optional(),
})
export const runBody = z.strictObject({ plan: z.string() })
export const exportQuery = listQuery.omit({ limit: true })

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
  app.post(
    '/plan',
    jsonBody(() => planBody, notAFilter, { maxBytes: maxPlanBytes, clockOf }),
    async (c) => {
      const { action, asNew = false, filter, keys } = c.req.valid('json')
      if ((filter === undefined) === (keys === undefined) || (asNew && action === 'drop'))
        return problem(c, 'invalid', {
          errors: [{ path: '', message: 'has either a filter or keys, and asNew only for what is sent again' }],
        })
      const { visitor, ...asked } = filter ?? {}
      const whose = await hashOf(c, visitor)
      if (whose instanceof Response) return whose
      const record = await act(c, 'dead_plan', { action, asNew: asNew ? 'yes' : 'no' })
      const plan = await operatorOf(c).dead.plan({ action, asNew, filter: filterOf(asked, whose), ...given({ keys }) })
      if (plan === undefined)
        return problem(c, 'unavailable', { detail: 'Other plans are at work: wait, or cancel one.' })
      await record({ plan: plan.id, letters: plan.letters })
      return c.json(await shownPlan(operatorOf(c), plan))
    },
  )
  app.post(
    '/run',
    jsonBody(() => runBody, notAFilter, { maxBytes: maxBodyBytes, clockOf }),
    async (c) => {
      const id = c.req.valid('json').plan
      const planned = await operatorOf(c).dead.findPlan(id)
      if (planned === undefined) return problem(c, 'not-found')
      if (planned.state === 'planning')
        return problem(c, 'unavailable', { detail: 'Its set is not whole yet: ask again.' })
      // To ask again how far it is changes nothing.
      if (planned.state === 'planned')
        await act(c, 'dead_run', { plan: id, action: planned.action, letters: planned.letters })
      const plan = await operatorOf(c).dead.run(id)
      if (plan?.state === 'planned')
        return problem(c, 'not-found', { detail: `The plan ended at ${isoTime(plan.expiresMs)}: make a new one.` })
      return plan === undefined ? problem(c, 'not-found') : c.json(shownRun(plan))
    },
  )
  app.get('/plans', async (c) =>
    c.json({
      plans: (await operatorOf(c).dead.plans()).map((plan) => ({ action: plan.action, ...shownRun(plan) })),
    }),
  )
  app.get('/plans/:id', async (c) => {
    const plan = await operatorOf(c).dead.findPlan(c.req.param('id'))
    return plan === undefined
      ? problem(c, 'not-found')
      : c.json({ ...(await shownPlan(operatorOf(c), plan)), ...shownRun(plan) })
  })
  app.post('/plans/:id/cancel', async (c) => {
    const id = c.req.param('id')
    if ((await operatorOf(c).dead.findPlan(id)) === undefined) return problem(c, 'not-found')
    await act(c, 'dead_cancel', { plan: id })
    const plan = await operatorOf(c).dead.cancel(id)
    return plan === undefined ? problem(c, 'not-found') : c.json(shownRun(plan))
  })
  app.get('/export', zValidator('query', exportQuery, notAList), async (c) => {
    const { cursor, visitor, ...asked } = c.req.valid('query')
    await act(c, 'dead_export', {}, { goesOn: cursor !== undefined })
    const lines = operatorOf(c).dead.exportLines(filterOf(asked, visitor), cursor)
    const utf8 = new TextEncoder()
    // What fails in the middle ends it without its last line.
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await lines.next()
        if (done === true) controller.close()
        else controller.enqueue(utf8.encode(`${value}\n`))
      },
    })
    return c.body(body, 200, { 'content-type': 'application/x-ndjson' })
  })
  app.post('/import', async (c) => {
    const read = await readBody(c.req.raw, maxImportBytes, clockOf(c))
    if (!read.ok) return problem(c, read.problem)
    const text = decodeUtf8(read.bytes)
    if (text === undefined) return problem(c, 'malformed', { detail: 'The body is not UTF-8.' })
    const lines = text.split('\n').filter((line) => line.trim() !== '')
    const record = await act(c, 'dead_import', { lines: lines.length }, { goesOn: true })
    const counts = { kept: 0, other: 0, unreadable: 0, foreign: 0 }
    for (const line of lines) counts[await operatorOf(c).dead.importLine(line)]++
    await record(counts)
    return c.json(counts)
  })
  app.get(
    '/:version/:name',
    zValidator(
      'query',
      readQuery,
      refuse('malformed', { detail: 'The query parameters reveal and remap are 1 or 0.' }),
    ),
    async (c) => {
      const key = `${c.req.param('version')}/${c.req.param('name')}`
      const asked = c.req.valid('query')
      const reveal = asked.reveal === '1'
      if (reveal) await act(c, 'dead_reveal', { key })
      const letter = await operatorOf(c).dead.read(key, reveal, asked.remap === '1')
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

/** What a plan would do. Figures that a sample gave are estimates. */
async function shownPlan(operator: Pick<Operator, 'throughWith'>, plan: Plan) {
  const { id, action, state, letters, updates, calls, stay, superseded, sampled, expiresMs } = plan
  const doneMs = await doneMsOf(operator, plan)
  return {
    plan: id,
    action,
    letters,
    updates,
    calls,
    ...(sampled === 0 ? {} : { superseded: Math.round((superseded / sampled) * updates), sampled }),
    ...(sampled > 0 && sampled < updates ? { estimated: true } : {}),
    stay,
    complete: state !== 'planning',
    ...given({ doneBy: doneMs === undefined ? undefined : isoTime(doneMs) }),
    expiresAt: isoTime(expiresMs),
  }
}

/** Of what the plan has still to do. */
async function doneMsOf(
  operator: Pick<Operator, 'throughWith'>,
  { state, letters, updates, calls, done, failed }: Plan,
) {
  const left = letters - done - failed
  if (updates === 0 || left <= 0 || !(state === 'planned' || state === 'running')) return undefined
  const share = left / letters
  return operator.throughWith({
    letters: left,
    entries: Math.ceil(updates * share),
    calls: Math.ceil(calls * share),
  })
}

/** How far a run is; `failed` of the letters stay, for the reasons in `stay`. */
function shownRun({ id, state, done, letters, failed, stay }: Plan) {
  return { plan: id, state, done, of: letters, failed, stay }
}
