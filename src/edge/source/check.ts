/** What is wrong with the sources: among themselves, with the settings, with their secrets. */
import { errorName } from '../../core/errors.ts'
import type { Source } from './types.ts'

/** Shorter secrets are accepted with a warning. */
const goodSecretChars = 16
/** The environment variable that holds a source's secrets. */
export function secretName(source: string): string {
  return `HOOK_SECRET_${source.toUpperCase().replaceAll('-', '_')}`
}

/** What is wrong with the sources as a whole and with these settings; each problem names its source. */
export function checkSources(sources: readonly Source[], { retentionMs }: { retentionMs: number }): readonly string[] {
  const names = sources.map(({ name }) => name)
  return [
    ...new Set(
      names
        .filter((name, index) => names.indexOf(name) !== index)
        .map((name) => `source ${name}: two sources have this name`),
    ),
    ...sources
      .filter(({ delayMs }) => delayMs >= retentionMs)
      .map(
        ({ name }) =>
          `source ${name}: its delay must be shorter than RETENTION_HOURS, or its updates expire while they wait`,
      ),
    ...sources
      .filter(({ clockAheadMs }) => clockAheadMs >= retentionMs)
      .map(
        ({ name }) => `source ${name}: its clockAhead must be shorter than RETENTION_HOURS, or every event is too old`,
      ),
    ...sources.flatMap((source) => copiesProblem(source) ?? []),
  ]
}

/** Checked once for each source: the check runs the mapping on the sample. */
const copiesProblems = new WeakMap<Source, { readonly problem: string | undefined }>()

/** A source whose requests can be copied must know how old an event is, or say that it accepts copies. */
function copiesProblem(source: Source): string | undefined {
  const known = copiesProblems.get(source)
  if (known !== undefined) return known.problem
  const problem =
    !source.needsTime || source.givesTime || sampleHasTime(source)
      ? undefined
      : `source ${source.name}: ${source.auth.name} sees no time, so a copied request is good for ever, and sets old values again once its id is forgotten: give occurredAt from the signed body (as an option, or by the mapping, with a sample that shows it), or say acceptsCopies: true (docs/sources.md, "Copies")`
  copiesProblems.set(source, { problem })
  return problem
}

function sampleHasTime({ sample, sampleHeaders: headers, read }: Source): boolean {
  if (sample === undefined) return false
  const tried = read(sample, { headers })
  return tried.ok && tried.drafts.length > 0 && tried.drafts.every(({ occurredAt }) => occurredAt !== undefined)
}

/** What is wrong with a source's secrets, so that no sender can be authenticated; undefined where they are good. */
export async function secretProblem(source: Source, secrets: readonly string[]): Promise<string | undefined> {
  if (source.auth.needsSecret === false) return undefined
  if (secrets.length === 0) return `${secretName(source.name)} is not set: the source accepts nobody`
  let taken: readonly boolean[]
  try {
    taken = await Promise.all(secrets.map(async (secret) => (await source.auth.takesSecret?.(secret)) ?? true))
  } catch (error) {
    return `${secretName(source.name)} cannot be checked: ${source.auth.name} threw ${errorName(error)}`
  }
  if (taken.includes(false)) return `${secretName(source.name)} holds a secret that is none for ${source.auth.name}`
  // The secret part of `label:secret` and `user:password`.
  return secrets.some((secret) => secret.slice(secret.indexOf(':') + 1).length < goodSecretChars)
    ? `${secretName(source.name)} holds a secret of fewer than ${goodSecretChars} characters: a longer one, made at random, can't be guessed`
    : undefined
}

/** What is wrong with the secrets of all sources, and which secrets belong to no source (a mistyped name). */
export async function secretProblemsOf(
  sources: readonly Source[],
  secrets: ReadonlyMap<string, readonly string[]>,
): Promise<readonly string[]> {
  const problems = await Promise.all(sources.map((source) => secretProblem(source, secrets.get(source.name) ?? [])))
  const strangers = [...secrets.keys()].filter((name) => !sources.some((source) => source.name === name))
  return [
    ...problems.filter((one) => one !== undefined),
    ...strangers.map((name) => `${secretName(name)} is set, and there is no source ${name}`),
  ]
}

/** Units a window for each source with a share of its own. */
export function sharesOf(
  sources: readonly Pick<Source, 'name' | 'share'>[],
  quotaLimit: number,
): ReadonlyMap<string, number> {
  return new Map(
    sources.flatMap(({ name, share }) =>
      share === undefined ? [] : [[name, Math.floor(quotaLimit * share)] as const],
    ),
  )
}
