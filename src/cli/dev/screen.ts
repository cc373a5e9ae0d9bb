/** What `target-relay dev` says once everything runs. */
import { quoted } from '../../dev/curl.ts'
import { devTokens } from '../../dev/secrets.ts'
import type { Looked } from './look.ts'

export interface Running {
  readonly relay: string
  readonly target: string
  readonly tickSeconds: number
  readonly kept: boolean
  /** How the command is called here. */
  readonly command: string
  /** In place of dev's own. */
  readonly apiToken?: string
  readonly adminToken?: string
}

export function* welcome(running: Running, sources: readonly Looked[]): Generator<string> {
  const { relay, target, tickSeconds, kept, apiToken = devTokens.api, adminToken = devTokens.admin } = running
  yield ''
  yield `relay               ${relay}, a flush every ${tickSeconds} s`
  yield `console             ${relay}/admin, user admin, password ${adminToken}`
  yield `Target's stand-in   ${target}/__emulator/statistics`
  yield `state               .target-relay, ${kept ? 'of the last run' : 'new (--keep goes on with the last)'}`
  yield ''
  yield '# an update with an API token'
  yield `curl ${relay}/v1/updates -H 'authorization: Bearer ${apiToken}' -H 'content-type: application/json' \\`
  yield `  -d '{"visitor":{"thirdPartyId":"123456"},"attributes":{"loanStatus":"funded"}}'`
  yield ''
  yield '# and where it arrived'
  yield profileCurl(target, '3p:123456')
  if (sources.length === 0) yield '\nThere are no sources yet: write one in sources.ts or src/sources.ts.'
  for (const source of sources) yield* described(source, running)
}

/** What the stand-in holds of a visitor. */
function profileCurl(target: string, visitor: string): string {
  const id = encodeURIComponent(visitor).replace('%3A', ':')
  return `curl ${quoted(`${target}/__emulator/profile?visitor=${id}`)}`
}

/** A source, with one signed request of its sample. */
export function* described(
  source: Looked,
  { relay, target, command }: Pick<Running, 'relay' | 'target' | 'command'>,
): Generator<string> {
  const { name, secretName, secrets, curl, why, visitor, seesTime } = source
  yield ''
  yield `# source ${name}${secretName === undefined ? '' : secrets === undefined ? `, ${secretName} is not set` : `, ${secretName}=${secrets}`}`
  if (curl === undefined) {
    yield `# no request: ${why ?? 'its body is no text'}. What it would send: ${command} map ${name} <file>`
    return
  }
  if (seesTime) yield `# good for some minutes; a new one: ${command} sign ${name} --send ${relay}`
  yield curl
  if (visitor !== undefined) yield profileCurl(target, visitor)
}
