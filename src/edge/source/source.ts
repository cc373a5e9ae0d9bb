/** A source: who sends, how it is authenticated, what it sends, and what that changes in a profile. */
import type * as z from 'zod'
import { given } from '../../core/given.ts'
import { takesCopies } from '../auth/scheme.ts'
import { defaultMaxBodyBytes } from '../http/body.ts'
import { readEvent } from './read.ts'
import { formats, type Source, type SourceOptions, type Span } from './types.ts'

/**
 * A body that can't be mapped is kept whole. In KV a value has at most 25 MiB, and a byte may take six in JSON and a
 * third more in base64 once it is encrypted: 3 MiB become 24.
 */
const mostBodyBytes = 3 * 1_048_576
/** Of schemes that send their secret as it is. */
const secretHeaders = /^(authorization|proxy-authorization|cookie)$/i
const spanMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** @throws TypeError for an invalid name or option */
export function source<Schema extends z.ZodType>(name: string, options: SourceOptions<Schema>): Source {
  const {
    auth,
    format = 'json',
    lane = 'live',
    share,
    skipUnchanged = false,
    delay,
    clockAhead,
    acceptsCopies = false,
    maxBodyBytes = defaultMaxBodyBytes,
    methods = ['POST'],
    headers = [],
    greet,
    confirmation,
    reply,
    sample,
    sampleHeaders = {},
  } = options
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name))
    throw new TypeError(
      `a source is named in lower-case letters, digits and single hyphens, and not ${JSON.stringify(name)}`,
    )
  if (!formats.includes(format)) throw new TypeError(`${name}: format must be one of ${formats.join(', ')}`)
  if (!Number.isInteger(maxBodyBytes) || maxBodyBytes < 1 || maxBodyBytes > mostBodyBytes)
    throw new TypeError(
      `${name}: maxBodyBytes must be a whole number from 1 to ${mostBodyBytes}: more could not be kept as a dead letter`,
    )
  if (share !== undefined && !(share >= 0 && share <= 1)) throw new TypeError(`${name}: share must be from 0 to 1`)
  const secret = headers.find((header) => secretHeaders.test(header))
  if (secret !== undefined) throw new TypeError(`${name}: ${secret} carries a secret, and a dead letter would keep it`)
  if (methods.length === 0 || methods.some((method) => method !== 'POST' && method !== 'PUT'))
    throw new TypeError(`${name}: methods are POST and PUT`)
  const allowed = options.attributes
  const named = headers.map((header) => header.toLowerCase())
  const foreign = Object.keys(sampleHeaders).find((header) => !named.includes(header.toLowerCase()))
  if (foreign !== undefined) throw new TypeError(`${name}: sampleHeaders has ${foreign}, which headers does not name`)
  return {
    name,
    auth,
    format,
    lane,
    ...given({ share }),
    skipsUnchanged: skipUnchanged,
    delayMs: delay === undefined ? 0 : readSpan(name, 'delay', delay),
    clockAheadMs: clockAhead === undefined ? 0 : readSpan(name, 'clockAhead', clockAhead),
    needsTime: takesCopies(auth) && !acceptsCopies,
    givesTime: options.occurredAt !== undefined,
    maxBodyBytes,
    methods,
    headers: named,
    sampleHeaders: Object.fromEntries(
      Object.entries(sampleHeaders).map(([header, value]) => [header.toLowerCase(), value]),
    ),
    ...given({ greet, confirmation, reply, sample, attributes: allowed }),
    fits: (event) => options.schema.safeParse(event).success,
    allows: (attribute) =>
      allowed === undefined || allowed.some((one) => attribute === one || attribute.startsWith(`${one}.`)),
    splits: options.each !== undefined,
    split: (body) => options.each?.(body) ?? [body],
    read: (event, context = { headers: {} }, onThrow) => readEvent(options, event, context, onThrow),
  }
}

function readSpan(name: string, option: string, span: Span): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(span) ?? []
  const ms = Number(count) * (spanMs[unit as keyof typeof spanMs] ?? Number.NaN)
  if (!(ms > 0)) throw new TypeError(`${name}: ${option} must be a span like 90s, 15m, 1h or 2d`)
  return ms
}
