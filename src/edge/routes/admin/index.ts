/** `/admin/api/*`: what an operator does. Each concern has a file of its own; who may ask stands in `access.ts`. */
import { zValidator } from '@hono/zod-validator'
import { Hono } from 'hono'
import * as z from 'zod'
import { UnknownCursor } from '../../../core/backlog/port.ts'
import { errorName } from '../../../core/errors.ts'
import { ForeignStore } from '../../../core/operator/owner.ts'
import { problem, throwsErrors } from '../../http/problem.ts'
import { refuse } from '../../http/valid.ts'
import type { PartsOf } from '../parts.ts'
import { looksOnly, operatorOnly, ownOrigin, ViewOnly } from './access.ts'
import { auditApi } from './audit.ts'
import { deadApi } from './dead.ts'
import { ledgerApi } from './ledger.ts'
import { sealsApi } from './seals.ts'
import { seriesApi } from './series.ts'
import { sourcesApi } from './sources.ts'
import { statusApi } from './status.ts'
import { steeringApi } from './steering.ts'
import { visitorApi } from './visitor.ts'

/** Asked with a body, since what they ask for has no place in a URL. */
const looks: ReadonlySet<string> = new Set(['/visitor', '/dead/list'])

export function adminApi(
  partsOf: PartsOf<
    'settings' | 'operator' | 'clock' | 'authFailed' | 'log' | 'accessEmail' | 'sources' | 'prepare' | 'wire'
  >,
): Hono {
  const app = new Hono({ strict: false })
  app.use(throwsErrors, operatorOnly(partsOf), ownOrigin, looksOnly(looks))
  // A parameter that looks like a trial (`?dry_run=1`) must never go unnoticed.
  app.post(
    '*',
    zValidator(
      'query',
      z.strictObject({}),
      refuse('malformed', { detail: 'This route takes no query parameters: what it takes stands in the body.' }),
    ),
  )
  app.route('/', statusApi(partsOf))
  app.route('/', steeringApi(partsOf))
  app.route('/', visitorApi(partsOf))
  app.route('/', seriesApi(partsOf))
  app.route('/ledger', ledgerApi(partsOf))
  app.route('/dead', deadApi(partsOf))
  app.route('/', auditApi(partsOf))
  app.route('/seals', sealsApi(partsOf))
  app.route('/sources', sourcesApi(partsOf))
  // The ledger or the store did not answer. Only the log says why, except where an operator must fix it.
  app.onError((error, c) => {
    if (error instanceof ViewOnly) return problem(c, 'view-only')
    if (error instanceof UnknownCursor) return problem(c, 'malformed', { detail: 'The cursor is none of this list.' })
    if (error instanceof ForeignStore) return problem(c, 'misconfigured', { detail: error.message })
    partsOf(c).log?.('request_failed', { error: errorName(error) })
    return problem(c, 'unavailable')
  })
  return app
}
