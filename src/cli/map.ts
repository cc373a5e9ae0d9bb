/** `target-relay map`: what an event would change and send, without a server, a secret or a call. */

import { parseArgs } from 'node:util'
import { createPrepare } from '../core/delivery/prepare.ts'
import { type Preview, previewOf } from '../core/delivery/preview.ts'
import { given } from '../core/given.ts'
import { createHasher } from '../core/update/hash.ts'
import { eventsIn, joined, mapEvents, parseEvent } from '../edge/source/mapping.ts'
import { parseSettings } from '../relay/settings.ts'
import { type Command, exit } from './command.ts'
import { Misuse } from './errors.ts'
import { readBytes } from './files.ts'
import { loadSources, sourceNamed } from './load-sources.ts'
import { decodeText, wantEncoding } from './text.ts'

/** Nothing is stored, so the key need not be secret. */
const nobodysHashKey = 'only names what is shown and thrown away'

export const map: Command = {
  summary: 'show what an event of a source would send',
  usage: `target-relay map <source> [<file>|-] [--json] [--sources <file>] [--encoding <label>]

Shows the updates that a source's mapping makes of an event (its body as it would come in; - reads it from standard
input), and the exact calls, with their size and quota cost. Sends nothing. Without a file the source's sample is taken.
A file is UTF-8, UTF-16 with a byte order mark, or --encoding (windows-1252, …).
TARGET_CLIENT_CODE, TARGET_ORIGIN and TARGET_METHOD are taken from the environment where they are set.
Exit 1 where the event can't be mapped.`,

  async run({ args, env, out, err }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, sources: { type: 'string' }, encoding: { type: 'string' } },
    })
    const [name, file] = positionals
    wantEncoding(values.encoding)
    if (name === undefined || positionals.length > 2) throw new Misuse('name one source, and one file at most')
    const source = sourceNamed(await loadSources(values.sources ?? env['RELAY_SOURCES']), name)
    const settings = parseSettings({
      TARGET_CLIENT_CODE: 'your-client-code',
      HASH_KEY: nobodysHashKey,
      ...targetSettings(env),
    })
    if (!settings.ok) throw new Misuse(settings.problems.join('; '))
    const {
      targetMethod: method,
      targetOrigin: origin,
      targetClientCode: clientCode,
      retentionHours,
    } = settings.settings
    const wire = { method, origin, clientCode }

    if (file === undefined && source.sample === undefined) throw new Misuse(`${name} has no sample: name a file`)
    const body = file === undefined ? undefined : decodeText(await readBytes(file), file, values.encoding)
    const parsed =
      body === undefined
        ? { ok: true as const, event: source.sample }
        : parseEvent(source.format, new TextEncoder().encode(body))
    if (!parsed.ok) {
      err(`${file ?? ''}: ${parsed.reason}`)
      return exit.failed
    }
    // A sample is one event, a file a whole body.
    const found = body === undefined ? { ok: true as const, events: [parsed.event] } : eventsIn(source, parsed.event)
    if (!found.ok) {
      err(`unmappable: ${found.reason}`)
      return exit.failed
    }
    const headers = source.sampleHeaders
    for (const event of found.events)
      source.read(event, { headers }, (error) =>
        err(`the mapping threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
      )
    // An event that was kept as an example may be old: it is shown all the same.
    const prepare = createPrepare({
      hasher: await createHasher(nobodysHashKey),
      wire,
      retentionMs: Number.MAX_SAFE_INTEGER,
    })
    const mapped = joined(await mapEvents(source, found.events, { arrivalMs: Date.now(), headers }, prepare))
    if (!mapped.ok) {
      err(`unmappable: ${mapped.reason}`)
      return exit.failed
    }
    const updates = mapped.updates.map((update, index) => {
      const id = mapped.drafts[index]?.id
      return { ...given({ id }), ...previewOf(update, wire) }
    })
    const oldestMs = Date.now() - retentionHours * 3_600_000
    // A sample's age means nothing.
    if (file !== undefined && updates.some(({ occurredAt }) => Date.parse(occurredAt) < oldestMs))
      err(`it is older than ${retentionHours} hours (RETENTION_HOURS): as it is, it would not be sent`)
    const units = updates.reduce((sum, update) => sum + update.units, 0)
    if (values.json) out(JSON.stringify({ source: name, updates, units }, null, 2))
    else for (const line of describe(name, updates, units)) out(line)
    return exit.ok
  },
}

type Shown = Preview & { readonly id?: string }

function* describe(source: string, updates: readonly Shown[], units: number): Generator<string> {
  const calls = updates.reduce((sum, update) => sum + update.calls.length, 0)
  yield `${source}: ${count(updates.length, 'update')}, ${count(calls, 'call')}, ${count(units, 'unit')} of quota${updates.length === 0 ? ' (ignored)' : ''}`
  for (const { id, visitor, occurredAt, notBefore, attributes, calls: own } of updates) {
    yield ''
    const [kind, who] = Object.entries(visitor)[0] ?? []
    yield `  ${id === undefined ? 'no id of its own' : `id ${id}`}, ${kind} ${who}, at ${occurredAt}${notBefore === undefined ? '' : `, held back until ${notBefore}`}`
    for (const { name, value } of attributes) yield `    ${name} = ${JSON.stringify(value)}`
    for (const { method, url, body, bytes, units: cost } of own) {
      yield `  ${method} ${url}`
      if (body !== undefined) yield `    ${body}`
      yield `    ${count(bytes, 'byte')} of ${body === undefined ? 'URL' : 'body'}, ${count(cost, 'unit')}`
    }
  }
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}

function targetSettings(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(TARGET_|RETENTION_HOURS$)/.test(name)))
}
