/** `POST /hooks/{source}`: third-party webhooks. Proven first, on the raw bytes; only then read. */
import type { Context } from 'hono'
import type { Draft } from '../core/prepare.ts'
import type { Update } from '../core/update.ts'
import { answerMany, answerOne, resultOf } from './answer.ts'
import type { AppParts } from './app.ts'
import { isJson, parseJsonBody, readBody } from './body.ts'
import { problem } from './problem.ts'
import type { Source } from './source.ts'

export async function takeHook(c: Context, parts: AppParts, name: string): Promise<Response> {
  const source = parts.sources.find((candidate) => candidate.name === name)
  if (source === undefined) return problem(c, 'not-found')
  const arrivalMs = parts.clock.now()
  const read = await readBody(c.req.raw, source.maxBodyBytes, parts.clock)
  if (!read.ok) return problem(c, read.problem)
  const secrets = parts.settings.hookSecrets.get(source.name) ?? []
  const proven = await source.auth.verify({
    method: c.req.method,
    url: c.req.url,
    headers: c.req.raw.headers,
    body: read.bytes,
    secrets,
    nowMs: arrivalMs,
  })
  if (!proven) return problem(c, 'unauthenticated')
  if (!isJson(c.req.header('content-type') ?? null)) return problem(c, 'unsupported-media-type')
  const event = parseJsonBody(read.bytes)
  if (event === undefined) return problem(c, 'malformed', { detail: 'The body is not JSON.' })

  const mapped = source.read(event)
  if (mapped === undefined) return quarantine(c, parts, source, read.bytes, arrivalMs, 'the event does not fit the source')
  const drafts = withIds(mapped.drafts, source.auth.eventId?.(c.req.raw.headers))
  const updates: Update[] = []
  for (const draft of drafts) {
    const prepared = await parts.prepare(draft, { source: source.name, arrivalMs })
    if (!prepared.ok) {
      const wrong = prepared.problems.map(({ path, message }) => `${path} ${message}`).join('; ')
      return quarantine(c, parts, source, read.bytes, arrivalMs, wrong)
    }
    updates.push(prepared.update)
  }
  if (updates.length === 0) return c.json({ status: 'ignored' }, 200)
  const receipts = await parts.deliver(updates, source.lane)
  const results = receipts.map((receipt, index) => resultOf(drafts[index]?.id, receipt))
  const [only] = results
  return results.length === 1 && only !== undefined ? answerOne(c, only, 503) : answerMany(c, results, 503)
}

/** The mapping's ids, or the scheme's; one event with several updates has an id for each. */
function withIds(drafts: readonly Draft[], schemeId: string | undefined): readonly Draft[] {
  return drafts.map((draft, index) => {
    const id = draft.id ?? schemeId
    if (id === undefined) return draft
    return { ...draft, id: drafts.length === 1 ? id : `${id}#${index}` }
  })
}

/** Proven but not readable: kept whole for a person, never refused, since its sender could not mend it. */
async function quarantine(c: Context, parts: AppParts, source: Source, raw: Uint8Array, nowMs: number, detail: string): Promise<Response> {
  try {
    await parts.bury({
      reason: 'unmappable',
      source: source.name,
      detail,
      atMs: nowMs,
      firstSeenMs: nowMs,
      attempts: 0,
      raw: new TextDecoder().decode(raw),
    })
  } catch {
    return problem(c, 'unavailable')
  }
  return c.json({ status: 'quarantined' }, 202)
}
