/** The OpenAPI 3.1 document, made of the operations and of the schemas that validate what is asked and answered. */
import * as z from 'zod'
import { adminOperations } from './admin.ts'
import { alertWebhook } from './alerts.ts'
import { deadOperations } from './dead.ts'
import { answerSchemas, type Content, documentedAs, type Operation, refTo, requestSchemas } from './operation.ts'
import { probeOperations } from './probes.ts'
import { sealOperations } from './seals.ts'
import { senderOperations } from './senders.ts'
import { seriesOperations } from './series.ts'
import { sourceOperations } from './sources.ts'
import { statusOperations } from './status.ts'

export const operations: readonly Operation[] = [
  ...senderOperations,
  ...probeOperations,
  ...statusOperations,
  ...adminOperations,
  ...seriesOperations,
  ...deadOperations,
  ...sealOperations,
  ...sourceOperations,
]

type Json = Record<string, unknown>

export interface Document {
  readonly openapi: '3.1.1'
  readonly info: Json
  readonly servers: readonly Json[]
  readonly security: readonly Json[]
  readonly paths: Readonly<Record<string, Json>>
  readonly webhooks: Json
  readonly components: { readonly schemas: Readonly<Record<string, Json>> } & Json
}

/**
 * @throws TypeError where a schema can't be converted
 * @param version of the relay
 * @param closed answers may have no other fields than these: for tests. Clients must expect that fields are added.
 */
export function documentOf(version: string, { closed = false } = {}): Document {
  const paths: Record<string, Json> = {}
  for (const operation of operations) {
    const at = paths[operation.path] ?? parametersOf(operation.path)
    at[operation.method] = describe(operation)
    paths[operation.path] = at
  }
  const schemas = { ...schemasOf(requestSchemas, 'input'), ...schemasOf(answerSchemas, 'output', closed) }
  if (JSON.stringify({ paths, schemas }).includes(undocumented))
    throw new TypeError('a schema with code of its own is not in documentedAs')
  return {
    openapi: '3.1.1',
    info: {
      title: 'target-relay',
      version,
      description: "Webhooks to Adobe Target's Single Profile Update API. Answers and problems in words: docs/http.md",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Where the document is served, also where the relay is mounted under a path.
    servers: [{ url: '.' }],
    // Of operators' routes, which are the most.
    security: [{ admin: [] }, { browser: [] }],
    paths,
    webhooks: { alert: alertWebhook },
    components: {
      securitySchemes: {
        api: { type: 'http', scheme: 'bearer', description: 'One of API_TOKENS' },
        admin: { type: 'http', scheme: 'bearer', description: 'ADMIN_TOKEN' },
        browser: { type: 'http', scheme: 'basic', description: 'User admin, with ADMIN_TOKEN' },
      },
      responses: {
        Problem: {
          description: 'Not done',
          content: { 'application/problem+json': { schema: refTo('Problem') } },
        },
      },
      schemas,
    },
  }
}

function parametersOf(path: string): Json {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
  if (names.length === 0) return {}
  return { parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })) }
}

function describe({ id, summary, access, query, body, bodyOptional, answers, problems }: Operation): Json {
  const responses: Record<string, Json> = {}
  for (const [status, content] of Object.entries(answers))
    responses[status] =
      content === 'empty' ? { description: 'Done' } : { description: 'Done', content: contentOf(content, 'output') }
  // One for all: which statuses a problem has stands in its type, and each of them would take its place in the bundle.
  if (problems.length > 0) responses['default'] = { $ref: '#/components/responses/Problem' }
  return {
    operationId: id,
    summary,
    ...(access === 'viewer' || access === 'admin' ? {} : { security: access === 'system' ? [{ api: [] }] : [] }),
    ...(query === undefined ? {} : { parameters: queryOf(query) }),
    ...(body === undefined
      ? {}
      : { requestBody: { content: contentOf(body, 'input'), ...(bodyOptional === true ? {} : { required: true }) } }),
    responses,
  }
}

function queryOf(query: z.ZodObject): readonly Json[] {
  const { properties = {}, required = [] } = schemaOf(query, 'input') as {
    properties?: Json
    required?: readonly string[]
  }
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    ...(required.includes(name) ? { required: true } : {}),
    schema,
  }))
}

function contentOf(content: Content, io: 'input' | 'output'): Json {
  if (content instanceof z.ZodType) return { 'application/json': { schema: schemaOf(content, io) } }
  return Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema: schemaOf(schema, io) }]))
}

/** A component by its name, any other schema in place. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { id } = (io === 'input' ? requestSchemas : answerSchemas).get(schema) ?? {}
  if (id !== undefined) return refTo(id)
  const { $schema: _, ...made } = z.toJSONSchema(schema, { io, ...conversion })
  return made
}

function schemasOf(registry: typeof answerSchemas, io: 'input' | 'output', closed = true): Record<string, Json> {
  const { schemas } = z.toJSONSchema(registry, {
    io,
    uri: (id) => refTo(id).$ref,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      conversion.override({ zodSchema, jsonSchema })
      if (!closed && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
    },
  })
  return Object.fromEntries(Object.entries(schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]))
}

interface Converted {
  readonly zodSchema: z.core.$ZodType
  readonly jsonSchema: Record<string, unknown>
}

/** Marks a schema with code of its own that is not in `documentedAs`, nor within one that is. */
const undocumented = 'x-undocumented'

const conversion = {
  unrepresentable: 'any' as const,
  override({ zodSchema, jsonSchema }: Converted): void {
    const documented = documentedAs.get(zodSchema as z.ZodType)
    if (documented !== undefined) {
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
      Object.assign(jsonSchema, documented)
      return
    }
    if (zodSchema._zod.def.type === 'custom') jsonSchema[undocumented] = true
    // The format says it; the pattern is long.
    if (jsonSchema['format'] === 'date-time') delete jsonSchema['pattern']
    delete jsonSchema['propertyNames']
    // What is counted is never less than none: not worth a place in the bundle.
    if (jsonSchema['type'] === 'integer' && jsonSchema['minimum'] === 0) delete jsonSchema['minimum']
    if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum']
    if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum']
  },
}
