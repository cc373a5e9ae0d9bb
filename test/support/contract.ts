/** Holds what a relay answers to its own contract: each answer is one that the document lists, in the shape it gives. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import * as z from 'zod'
import { documentOf, operations } from '../../src/edge/contract/document.ts'
import type { Operation } from '../../src/edge/contract/operation.ts'

/** With answers that may hold nothing but what is documented. */
export const closedDocument = documentOf('0.0.0', { closed: true })

const root = 'contract'
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema(closedDocument, root)
const validators = new Map<string, ValidateFunction>()

/** Checks a value against a part of the document, by its pointer. Empty where it fits. */
export function faultsIn(pointer: string, value: unknown): readonly string[] {
  const validate = validators.get(pointer) ?? ajv.compile({ $ref: `${root}#${pointer}` })
  validators.set(pointer, validate)
  return validate(value) === true
    ? []
    : (validate.errors ?? []).map(
        ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
      )
}

/** The operation that a request is; undefined where the document has none. */
export function operationOf(method: string, path: string): Operation | undefined {
  return operations.find(
    (one) =>
      one.method === method.toLowerCase() &&
      new RegExp(`^${one.path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(path),
  )
}

/** What is wrong with an answer by the contract; undefined where it is as documented. */
export function contractFault(
  operation: Operation,
  answer: { readonly status: number; readonly type: string | null; readonly text: string },
): string | undefined {
  const { method, path } = operation
  const at = `/paths/${escaped(path)}/${method}/responses/${answer.status}`
  const type = answer.type?.split(';')[0]?.trim() ?? ''
  const listed = operation.answers[answer.status]
  if (type === 'application/problem+json') {
    if (!operation.problems.includes(answer.status)) return `${answer.status}: a problem that is not documented`
    return told(faultsIn('/components/schemas/Problem', JSON.parse(answer.text)))
  }
  // The shape of Target's own API has its errors in XML, too.
  if (type === 'application/xml')
    return listed !== undefined || operation.problems.includes(answer.status)
      ? undefined
      : `${answer.status}: not documented`
  if (listed === undefined) return `${answer.status}: not documented`
  if (listed === 'empty') return answer.text === '' ? undefined : 'a body where there is none'
  const types = listed instanceof z.ZodType ? ['application/json'] : Object.keys(listed)
  if (!types.includes(type)) return `content type ${type}: not documented`
  return type === 'application/json'
    ? told(faultsIn(`${at}/content/${escaped(type)}/schema`, JSON.parse(answer.text)))
    : undefined
}

function told(faults: readonly string[]): string | undefined {
  return faults.length === 0 ? undefined : faults.join('; ')
}

function escaped(step: string): string {
  return encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'))
}

export interface Asked {
  readonly status: number
  readonly body: unknown
}

/** Asks a relay, and notes what it answered by the contract. */
export interface Contract {
  /** `<method> <path> <status>` of what was answered so far. */
  readonly seen: ReadonlySet<string>
  /** What was not as documented. */
  readonly faults: readonly string[]
  ask(path: string, init?: RequestInit): Promise<Asked>
}

/** @param send as `fetch`, with a path in place of an address */
export function underContract(send: (path: string, init: RequestInit) => Promise<Response>): Contract {
  const seen = new Set<string>()
  const faults: string[] = []
  return {
    seen,
    faults,
    async ask(path, init = {}) {
      const response = await send(path, init)
      const [{ status }, text] = [response, await response.text()]
      const method = init.method ?? 'GET'
      const operation = operationOf(method, path.split('?')[0] ?? '')
      if (operation !== undefined) {
        seen.add(`${operation.method} ${operation.path} ${status}`)
        const fault = contractFault(operation, { status, type: response.headers.get('content-type'), text })
        if (fault !== undefined) faults.push(`${method} ${operation.path} ${status}: ${fault}`)
      }
      const type = response.headers.get('content-type') ?? ''
      return { status, body: /[/+]json/.test(type) && text !== '' ? (JSON.parse(text) as unknown) : text }
    },
  }
}
