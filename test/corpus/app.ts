/** The corpus's relay in this process: the real app on the parts of a test world. */
import { createApp } from '../../src/edge/app.ts'
import type { AppParts } from '../../src/edge/routes/parts.ts'
import { createKeepConfirmation } from '../../src/edge/source/confirmations.ts'
import { seededRandom } from '../support/clock.ts'
import { testSecrets } from '../support/secrets.ts'
import type { World } from '../support/world.ts'
import { type RawRequest, secretsBySource } from './corpus.ts'
import { sources as corpusSources } from './sources.ts'

export interface Given {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

const corpus = { sources: corpusSources, hookSecrets: secretsBySource }

/** Sends a request without a server's parser in between: method, path, headers and body as given. */
export function appOf(
  world: World,
  { sources, hookSecrets }: Pick<AppParts, 'sources'> & Pick<AppParts['settings'], 'hookSecrets'> = corpus,
): (request: RawRequest) => Promise<Given> {
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [{ token: testSecrets.apiToken, lane: 'live' }],
      operators: [{ role: 'admin', token: testSecrets.adminToken }],
      hookSecrets,
    },
    sources,
    prepare: world.prepare,
    wire: { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' },
    deliver: world.deliver,
    bury: (dead) => world.backlog.bury(dead),
    keepConfirmation: createKeepConfirmation({
      backlog: world.backlog,
      ledger: world.ledger,
      random: seededRandom(2),
      count: () => {},
    }),
    ready: async () => ({ ready: true, ledger: 'embedded', checks: { ledger: 'ok' } }),
    operator: {} as never,
    clock: world.clock,
  })
  return async ({ method, path, headers, body }) => {
    const takesBody = method !== 'GET' && method !== 'HEAD'
    const response = await app.fetch(
      new Request(`https://relay.example${path}`, {
        method,
        headers: headers.map(([name, value]) => [name, value]),
        ...(takesBody ? { body: new Uint8Array(body) } : {}),
      }),
    )
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
}
