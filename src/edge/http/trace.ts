/**
 * W3C Trace Context: the trace that a request belongs to, for the lines of the log that the request causes. None is
 * invented where none came: on Workers the platform joins the lines of a request, elsewhere a proxy that traces does.
 */
import { given } from '../../core/given.ts'
import type { Log } from '../../core/log.ts'

/** Version 00 has exactly these parts; a later one may have more behind them. */
const version00 = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/
const later = /^(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-|$)/
const zeros = /^0+$/

/** @returns the trace's id, 32 hex digits; undefined where the request has none that is valid */
export function traceIdOf(headers: Headers): string | undefined {
  const header = headers.get('traceparent') ?? ''
  const [, traceId = '0', spanId = '0'] = version00.exec(header) ?? later.exec(header) ?? []
  return zeros.test(traceId) || zeros.test(spanId) ? undefined : traceId
}

/** A log whose lines name the trace that is asked for with each; its field is that of OpenTelemetry's logs. */
export function tracedLog(log: Log, traceId: () => string | undefined): Log {
  return (event, details) => log(event, { ...details, ...given({ trace_id: traceId() }) })
}
