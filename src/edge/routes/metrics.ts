/** `GET /metrics`: the relay's figures for Prometheus and whatever reads its formats, with an operator's token. */
import { type Context, Hono } from 'hono'
import { metricsText, openMetricsType, prometheusType, wantsOpenMetrics } from '../http/metrics-text.ts'
import { problem, throwsErrors } from '../http/problem.ts'
import { operatorOnly } from './admin/access.ts'
import type { AppParts } from './parts.ts'

export function metricsApi(partsOf: (c: Context) => AppParts): Hono {
  return new Hono({ strict: false }).get('/', throwsErrors, operatorOnly(partsOf), async (c) => {
    const { metrics } = partsOf(c)
    if (metrics === undefined) return problem(c, 'not-found')
    const openMetrics = wantsOpenMetrics(c.req.header('accept'))
    return c.body(metricsText(await metrics(), openMetrics), 200, {
      'content-type': openMetrics ? openMetricsType : prometheusType,
      vary: 'accept',
    })
  })
}
