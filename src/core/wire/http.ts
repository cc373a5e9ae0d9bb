/**
 * Target over HTTP.
 *
 * Guarantee: one `fetch` a call, within the time-out, never following a redirect; it never rejects. A `fetch` that the
 * platform did not start is distinguished from a call that failed.
 * Known hole: a runtime may send a GET again by itself when a kept-alive connection closes (a GET counts two units for
 * that), and Deno a POST with a string body (hence `streamBody`); what `guarded-body.ts` says.
 */

import type { Clock } from '../clock.ts'
import { isPlatformLimit } from '../errors.ts'
import { given } from '../given.ts'
import { readAnswer } from './answer.ts'
import { guardedBody } from './guarded-body.ts'
import type { Target } from './port.ts'
import { readStart } from './read-start.ts'

/** Target's envelope has a few hundred bytes. */
const maxAnswerBytes = 4_096

export interface HttpTargetOptions {
  /** Target's own profile token, where the account requires one. */
  readonly token?: string
  readonly timeoutMs: number
  readonly strict: boolean
  readonly fetch: typeof globalThis.fetch
  readonly clock: Clock
  /** The longest Retry-After that is honoured, ms. */
  readonly retentionMs: number
  /** Sends the body as a stream that checks the clock once the connection is open, and that no runtime sends again. */
  readonly streamBody?: boolean
}

export function httpTarget({
  token,
  timeoutMs,
  strict,
  fetch,
  clock,
  retentionMs,
  streamBody = false,
}: HttpTargetOptions): Target {
  const auth: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return {
    async send({ method, url, body }, startByMs) {
      const timeout = new AbortController()
      let begun = false
      let late = false
      const mayStart = () => {
        late = clock.now() > startByMs
        return !late
      }
      const timer = clock.after(timeoutMs)
      void timer.elapsed.then(() => timeout.abort())
      try {
        const response = await fetch(url, {
          method,
          headers: {
            accept: 'application/xml, text/plain;q=0.9',
            ...auth,
            ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
            // What was encoded is ASCII.
            ...(body === undefined || !streamBody ? {} : { 'content-length': String(body.length) }),
          },
          redirect: 'manual',
          signal: timeout.signal,
          ...(body === undefined
            ? {}
            : streamBody
              ? { body: guardedBody(body, mayStart), duplex: 'half' as const }
              : { body }),
        })
        begun = true
        const answer = {
          status: response.status,
          body: await readStart(response, maxAnswerBytes),
          ...given({
            retryAfter: response.headers.get('retry-after') ?? undefined,
            date: response.headers.get('date') ?? undefined,
          }),
        }
        return readAnswer(answer, { strict, nowMs: clock.now(), retentionMs })
      } catch (error) {
        if (late) return { kind: 'unsent', why: 'late' }
        if (!begun && isPlatformLimit(error)) return { kind: 'unsent', why: 'limit' }
        return { kind: 'unanswered', why: timeout.signal.aborted ? 'timeout' : 'network' }
      } finally {
        timer.cancel()
      }
    },
  }
}
