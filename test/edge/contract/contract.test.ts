/** `/openapi.json` is what the app does: its routes, what they take, and what they answer. */
import { readFileSync } from 'node:fs'
import { Validator } from '@seriousme/openapi-schema-validator'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { validateVisitor } from '../../../src/core/update/validate.ts'
import { alertTypes } from '../../../src/cron/alerts/alert.ts'
import { alertSender } from '../../../src/cron/alerts/send.ts'
import { createRoutes } from '../../../src/edge/app.ts'
import { alertWebhook } from '../../../src/edge/contract/alerts.ts'
import { documentOf, operations } from '../../../src/edge/contract/document.ts'
import { problemStatus, problemTypes } from '../../../src/edge/http/problem.ts'
import { openapi } from '../../../src/edge/openapi.ts'
import { systemClock } from '../../../src/relay/runtime.ts'
import { faultsIn } from '../../support/contract.ts'

const document = JSON.parse(openapi) as ReturnType<typeof documentOf>
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

describe('the document', () => {
  it('is the one that the schemas say today: npm run openapi', () => {
    expect(document).toEqual(documentOf(version))
  })

  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    expect(await validator.validate(JSON.parse(openapi))).toEqual({ valid: true })
    expect(validator.version).toBe('3.1')
  })

  it('has every route of the app, and the app every path of it', () => {
    const app = createRoutes(() => {
      throw new Error('not here')
    })
    // What answers to all methods is middleware, or says 405.
    const routes = app.routes
      .filter(({ method, path }) => method !== 'ALL' && !path.endsWith('*'))
      // The console's pages are for people: docs/console.md
      .filter(({ path }) => !/^\/admin(?!\/api\/)/.test(path))
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    const documented = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((key) => key !== 'parameters')
        .map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect([...new Set(routes)].sort()).toEqual(documented.sort())
  })

  it('names each operation once, and only statuses that a problem has', () => {
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length)
    const statuses = new Set<number>(problemTypes.map(problemStatus))
    expect(operations.flatMap(({ problems }) => problems.filter((status) => !statuses.has(status)))).toEqual([])
  })

  it('lets clients expect that fields are added to answers', () => {
    expect(document.components.schemas['Erased']).not.toHaveProperty('additionalProperties')
  })
})

describe('the webhook of the document', () => {
  it.each([...alertTypes, 'test'] as const)('is what is sent of an alert %s, and of its end', async (type) => {
    const bodies: string[] = []
    const send = alertSender({
      url: 'https://alerts.example',
      secrets: [new Uint8Array(32)],
      relay: 'demo',
      clock: systemClock,
      fetch: async (_, init) => {
        expect([...new Headers(init?.headers).keys()]).toEqual(
          expect.arrayContaining(alertWebhook.post.parameters.map(({ name }) => name)),
        )
        bodies.push(String(init?.body))
        return new Response()
      },
    })
    for (const recovered of [false, true])
      expect(await send({ id: 'a1', type, recovered, atMs: Date.now(), data: { level: 80 } })).toBeUndefined()
    for (const body of bodies) expect(faultsIn('/components/schemas/Alert', JSON.parse(body))).toEqual([])
    expect(bodies).toHaveLength(2)
  })
})

describe('the visitor of the document', () => {
  const agrees = (visitor: unknown): void => {
    expect([visitor, faultsIn('/components/schemas/Visitor', visitor).length === 0]).toEqual([
      visitor,
      validateVisitor(visitor).ok,
    ])
  }

  it.each([
    { thirdPartyId: '1' },
    { thirdPartyId: '' },
    { thirdPartyId: 'a+b' },
    { thirdPartyId: 'a/b' },
    { thirdPartyId: 'x'.repeat(256) },
    { thirdPartyId: 'x'.repeat(257) },
    { thirdPartyId: 'a\u0000' },
    { thirdPartyId: 1 },
    { pcId: '1-2.34_0' },
    { pcId: '1.2.3' },
    { pcId: '' },
    { pcId: 'x'.repeat(129) },
    { pcId: '1', thirdPartyId: '1' },
    { ecid: '1' },
    {},
    [],
    null,
    'x',
  ])('is taken or refused as the relay does: %j', agrees)

  it('is taken or refused as the relay does, whatever it is', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('a', '1', '.', '-', '_', '+', '/', ' ') }))
    const drawn = fc.record({ pcId: text, thirdPartyId: text }, { requiredKeys: [] })
    fc.assert(fc.property(drawn, agrees))
  })
})
