/**
 * What `target-relay dev` must know of a project's sources, read in a thread of its own: a module is loaded once in a
 * thread, and the sources change while it runs.
 */
import { URL } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { given } from '../../core/given.ts'
import { CannotSign } from '../../dev/cannot-sign.ts'
import { curlOf } from '../../dev/curl.ts'
import { exampleBody } from '../../dev/example-body.ts'
import { devSecretOf } from '../../dev/secrets.ts'
import { signRequest } from '../../dev/sign.ts'
import { fields } from '../../edge/auth/preset.ts'
import { secretName } from '../../edge/source/check.ts'
import type { Source } from '../../edge/source/types.ts'
import { list } from '../../relay/settings-fields.ts'
import { loadSources } from '../load-sources.ts'

export interface Looked {
  readonly name: string
  /** The setting of its secrets, where it needs one. */
  readonly secretName?: string
  /** What the setting is to be; undefined where nothing can be made up. */
  readonly secrets?: string
  /** Its sample as a signed request, or why there is none. */
  readonly curl?: string
  readonly why?: string
  /** Whose profile the sample changes, as the stand-in names visitors. */
  readonly visitor?: string
  /** Whether the signature is good for some minutes only. */
  readonly seesTime: boolean
}

export interface LookOptions {
  readonly file: string | undefined
  /** Where the relay is. */
  readonly origin: string
  /** Secrets of the developer's own, by the name of their setting. */
  readonly own: Readonly<Record<string, string>>
}

type Answer = { readonly looked: readonly Looked[] } | { readonly problem: string }

/** @returns the problem, in one line, where the sources can't be loaded */
export async function lookAtSources(options: LookOptions): Promise<Answer> {
  const thread = new Worker(new URL(import.meta.url), { workerData: { look: options } })
  try {
    return await new Promise<Answer>((resolve) => {
      thread.once('message', resolve)
      thread.once('error', (error) => resolve({ problem: error instanceof Error ? error.message : String(error) }))
      thread.once('exit', () => resolve({ problem: 'the thread that loads the sources ended' }))
    })
  } finally {
    await thread.terminate()
  }
}

async function look({ file, origin, own }: LookOptions): Promise<Answer> {
  try {
    const sources = await loadSources(file)
    return { looked: await Promise.all(sources.map((source) => lookAt(source, origin, own))) }
  } catch (error) {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    return { problem: line }
  }
}

async function lookAt(source: Source, origin: string, own: LookOptions['own']): Promise<Looked> {
  const setting = source.auth.needsSecret === false ? undefined : secretName(source.name)
  const secrets = setting === undefined ? undefined : (own[setting] ?? listed(await devSecretOf(source)))
  const [secret] = list.safeParse(secrets).data ?? []
  const nowMs = Date.now()
  const known = {
    name: source.name,
    seesTime: source.auth.seesTime === true,
    ...given({ secretName: setting, secrets }),
  }
  const body = exampleBody(source, nowMs)
  if (body === undefined) return { ...known, why: 'it has no sample of which a body could be made' }
  if (setting !== undefined && secret === undefined) return { ...known, why: `set ${setting} in .dev.vars` }
  try {
    const id = `msg_${nowMs}`
    const request = await signRequest(source, { origin, body, secret: secret ?? '', nowMs, id })
    return { ...known, ...given({ curl: curlOf(request), visitor: visitorOf(source) }) }
  } catch (error) {
    if (error instanceof CannotSign) return { ...known, why: error.message }
    throw error
  }
}

/** A secret as a list of one, whatever it holds. */
function listed(secret: string | undefined): string | undefined {
  return secret === undefined || /^[^,[]*$/.test(secret) ? secret : JSON.stringify([secret])
}

function visitorOf({ sample, sampleHeaders: headers, read }: Source): string | undefined {
  const tried = read(sample, { headers })
  const visitor = tried.ok ? tried.drafts[0]?.visitor : undefined
  // A mapping in plain JavaScript may give anything.
  const { pcId, thirdPartyId } = fields(visitor)
  return typeof pcId === 'string' ? `pc:${pcId}` : typeof thirdPartyId === 'string' ? `3p:${thirdPartyId}` : undefined
}

if (!isMainThread) {
  const { look: options } = (workerData ?? {}) as { look?: LookOptions }
  if (options !== undefined) parentPort?.postMessage(await look(options))
}
