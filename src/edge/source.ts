/** A source: who sends, how it proves itself, what it sends, and what that changes in a profile. Typed end to end. */
import type * as z from 'zod'
import type { Draft } from '../core/prepare.ts'
import type { Lane } from '../core/update.ts'
import type { AuthScheme } from './auth/scheme.ts'
import { defaultMaxBodyBytes } from './body.ts'

/** What a mapping gives: one update, several, or nothing to do. */
export type Mapped = Draft | readonly Draft[] | null | undefined

export interface SourceOptions<Schema extends z.ZodType> {
  /** Secrets come from `HOOK_SECRET_<SOURCE>`. */
  readonly auth: AuthScheme
  readonly schema: Schema
  readonly map: (event: z.output<Schema>) => Mapped
  /** Default `live`. */
  readonly lane?: Exclude<Lane, 'replay'>
  /**
   * The share of the quota that this source may take before others, 0..1; default all of it. Over its share its updates
   * are sent only while the whole is under the ceiling of the `bulk` lane, so that it can't crowd others out.
   */
  readonly share?: number
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number
}

export interface Source {
  readonly name: string
  readonly auth: AuthScheme
  readonly lane: Lane
  readonly share?: number
  readonly maxBodyBytes: number
  /** Undefined where the schema does not fit or the mapping throws. */
  read(event: unknown): { readonly drafts: readonly Draft[] } | undefined
}

/** @throws where the name or an option cannot be */
export function source<Schema extends z.ZodType>(name: string, options: SourceOptions<Schema>): Source {
  const { auth, schema, map, lane = 'live', share, maxBodyBytes = defaultMaxBodyBytes } = options
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) throw new TypeError('a source is named in lower-case letters, digits and single hyphens')
  if (!Number.isInteger(maxBodyBytes) || maxBodyBytes < 1) throw new TypeError(`${name}: maxBodyBytes must be a whole number of bytes`)
  if (share !== undefined && !(share >= 0 && share <= 1)) throw new TypeError(`${name}: share must be from 0 to 1`)
  return {
    name,
    auth,
    lane,
    ...(share === undefined ? {} : { share }),
    maxBodyBytes,
    read(event) {
      const parsed = schema.safeParse(event)
      if (!parsed.success) return undefined
      try {
        const mapped = map(parsed.data)
        return { drafts: mapped === null || mapped === undefined ? [] : isMany(mapped) ? mapped : [mapped] }
      } catch {
        return undefined
      }
    },
  }
}

/** Units a window for each source with a share of its own. */
export function sharesOf(sources: readonly Pick<Source, 'name' | 'share'>[], quotaLimit: number): ReadonlyMap<string, number> {
  return new Map(sources.flatMap(({ name, share }) => (share === undefined ? [] : [[name, Math.floor(quotaLimit * share)] as const])))
}

function isMany(mapped: Draft | readonly Draft[]): mapped is readonly Draft[] {
  return Array.isArray(mapped)
}
