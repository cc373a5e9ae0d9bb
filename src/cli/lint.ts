/** `target-relay lint`: checks the sources before a sender runs into what is wrong with them. */
import { parseArgs } from 'node:util'
import { createPrepare } from '../core/delivery/prepare.ts'
import { createHasher } from '../core/update/hash.ts'
import { flattenAttributes } from '../core/update/validate.ts'
import { checkSources, secretName, secretProblem } from '../edge/source/check.ts'
import { mapEvent } from '../edge/source/mapping.ts'
import type { Source } from '../edge/source/types.ts'
import { parseSettings } from '../relay/settings.ts'
import { type Command, exit } from './command.ts'
import { Misuse } from './errors.ts'
import { loadSources } from './load-sources.ts'

const settings = parseSettings({ TARGET_CLIENT_CODE: 'lint', HASH_KEY: 'only names what is checked and thrown away' })

export interface Finding {
  readonly level: 'error' | 'warning'
  readonly message: string
}

export const lint: Command = {
  summary: 'check every source',
  usage: `target-relay lint [--sources <file>] [--secrets]

Checks every source: names, secrets, schema, the attributes it may set, and what its mapping makes of its sample.
HOOK_SECRET_<SOURCE> is checked where it is set; with --secrets it must be set. Exit 1 where there is an error.`,

  async run({ args, env, out }) {
    const { values } = parseArgs({
      args: [...args],
      options: { sources: { type: 'string' }, secrets: { type: 'boolean', default: false } },
    })
    const sources = await loadSources(values.sources ?? env['RELAY_SOURCES'])
    if (sources.length === 0) throw new Misuse('there are no sources: name their file with --sources')
    const given = parseSettings({
      TARGET_CLIENT_CODE: 'lint',
      HASH_KEY: 'only names what is checked and thrown away',
      ...env,
    })
    const retentionMs = (given.ok ? given.settings.retentionHours : defaults().retentionHours) * 3_600_000
    let errors = 0
    for (const message of checkSources(sources, { retentionMs })) {
      errors++
      out(`error: ${message}`)
    }
    for (const source of sources) {
      const secrets = (env[secretName(source.name)] ?? '').split(',').filter((secret) => secret !== '')
      const findings = await lintSource(source, secrets, values.secrets)
      errors += findings.filter(({ level }) => level === 'error').length
      const secret = source.auth.needsSecret === false ? 'needs no secret' : secretName(source.name)
      out(`source ${source.name}: ${source.auth.name}, ${secret}${findings.length === 0 ? ', ok' : ''}`)
      for (const { level, message } of findings) out(`  ${level}: ${message}`)
    }
    return errors === 0 ? exit.ok : exit.failed
  },
}

/** @param secretsRequired whether a missing secret is an error */
export async function lintSource(
  source: Source,
  secrets: readonly string[],
  secretsRequired = false,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const error = (message: string) => findings.push({ level: 'error', message })
  const warn = (message: string) => findings.push({ level: 'warning', message })

  if (secrets.length > 0 || secretsRequired) {
    const problem = await secretProblem(source, secrets)
    if (problem !== undefined) error(problem)
  }
  for (const name of source.attributes ?? []) {
    const checked = flattenAttributes({ [name]: 'x' })
    if (!checked.ok) error(checked.problems.map(({ path, message }) => `${path} ${message}`).join('; '))
  }
  // A schema that accepts anything checks nothing: the mapping would get whatever a sender makes up.
  if ([null, 0, 'x', [], true].every((event) => source.fits(event)))
    error('its schema takes anything: say what the event looks like')

  if (source.sample === undefined) {
    warn('it has no sample, so its mapping was not tried')
    return findings
  }
  const headers = source.sampleHeaders
  source.read(source.sample, { headers }, (thrown) =>
    error(
      `its mapping threw ${thrown instanceof Error ? thrown.message : `something that is no error (${typeof thrown})`}`,
    ),
  )
  const { targetMethod: method, targetOrigin: origin, targetClientCode: clientCode } = defaults()
  // A sample's time may be older than the retention.
  const prepare = createPrepare({
    hasher: await createHasher('lint'),
    wire: { method, origin, clientCode },
    retentionMs: Number.MAX_SAFE_INTEGER,
  })
  const mapped = await mapEvent(source, source.sample, { arrivalMs: Date.now(), headers }, prepare)
  if (!mapped.ok) error(`its sample can't be mapped: ${mapped.reason}`)
  else if (mapped.updates.length === 0) warn('its sample gives no update')
  else if (mapped.drafts.some(({ id }) => id === undefined)) {
    if (source.auth.seesTime !== true)
      error(
        `its events have no id of their own, and ${source.auth.name} takes a copied request for ever: give eventId, from the body`,
      )
    else if (source.auth.eventId === undefined)
      warn('its events have no id: one that is sent again is called for again')
  }
  return findings
}

function defaults() {
  if (!settings.ok) throw new Error(settings.problems.join('; '))
  return settings.settings
}
