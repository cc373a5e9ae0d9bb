/**
 * How the contract (`/openapi.json`) is written down: an operation for each method of each route, and named schemas.
 *
 * Nothing here is loaded by a running relay: `npm run openapi` writes the document, the commands read answers by these
 * schemas, and `test/edge/contract` holds the app to them.
 */
import * as z from 'zod'

/** Who may call: nobody in particular, a source's sender, an own system, an operator who looks, one who acts. */
export type Access = 'anybody' | 'sender' | 'system' | 'viewer' | 'admin'

export interface Operation {
  readonly method: 'get' | 'options' | 'post' | 'put'
  /** As OpenAPI writes it: `/hooks/{source}`. */
  readonly path: `/${string}`
  /** Names the operation in generated clients. */
  readonly id: string
  readonly summary: string
  readonly access: Access
  /** The schema that validates the query; its parameters are all texts. */
  readonly query?: z.ZodObject
  /** The schema that validates the body, by content type. */
  readonly body?: Content
  /** A body may be left out. */
  readonly bodyOptional?: true
  /** By status: what a success says. `empty` has no body. */
  readonly answers: Readonly<Record<number, Content | 'empty'>>
  /** Statuses of problems (RFC 9457) that this route may answer. */
  readonly problems: readonly number[]
}

/** A named JSON schema, or other content types with what they hold. */
export type Content = z.ZodType | Readonly<Record<string, z.ZodType>>

/** Components of the document, by their names. */
export const requestSchemas = z.registry<{ id: string }>()
export const answerSchemas = z.registry<{ id: string }>()

/** What a schema with code of its own accepts, as JSON schema: zod can't tell. */
export const documentedAs = new Map<z.ZodType, object>()

/** A component of what is answered. */
export function answer<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  answerSchemas.add(schema, { id })
  return schema
}

/** A component of what is asked. */
export function request<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  requestSchemas.add(schema, { id })
  return schema
}

/** Where a component stands in the document. */
export function refTo(id: string): { $ref: string } {
  return { $ref: `#/components/schemas/${id}` }
}
