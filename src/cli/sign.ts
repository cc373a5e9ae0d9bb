/** `target-relay sign`: an event as its sender would send it, signed, as a curl command or sent. */
import { randomUUID } from 'node:crypto'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { CannotSign } from '../dev/cannot-sign.ts'
import { curlOf } from '../dev/curl.ts'
import { readDevVars } from '../dev/dev-vars.ts'
import { exampleBody } from '../dev/example-body.ts'
import { devSecretOf } from '../dev/secrets.ts'
import { type SignedRequest, signRequest } from '../dev/sign.ts'
import { secretName } from '../edge/source/check.ts'
import type { Source } from '../edge/source/types.ts'
import { list } from '../relay/settings-fields.ts'
import { type Command, type Exit, exit, type Io } from './command.ts'
import { Failed, Misuse, reasonOf } from './errors.ts'
import { readBytes } from './files.ts'
import { loadSources, sourceNamed } from './load-sources.ts'

const usualRelay = 'http://127.0.0.1:8787'
/** A relay answers within 30 s. */
const timeoutMs = 40_000

export const sign: Command = {
  summary: 'sign an event as its sender would: a curl command, or sent',
  usage: `target-relay sign <source> [<file>|-] [--send <URL>] [--id <id>] [--sources <file>]

Prints a curl command that sends the event (its body as it would come in; - reads it from standard input) to RELAY_URL
(${usualRelay}), signed as the sender of the source signs; --send sends it to a relay and prints its answer. Without
a file the source's sample is taken, with its time made now. The secret is the first of HOOK_SECRET_<SOURCE>, from the
environment or .dev.vars; without one it is that of target-relay dev. --id is the id of the message, where its sender
gives it one (a new one each time). What is signed by a private key only its sender can sign.
Exit 1 where the relay does not take it.`,

  async run(io) {
    const { values, positionals } = parseArgs({
      args: [...io.args],
      allowPositionals: true,
      options: { send: { type: 'string' }, id: { type: 'string' }, sources: { type: 'string' } },
    })
    const [name, file] = positionals
    if (name === undefined || positionals.length > 2) throw new Misuse('name one source, and one file at most')
    const source = sourceNamed(await loadSources(values.sources ?? io.env['RELAY_SOURCES']), name)
    const origin = originOf(values.send ?? (io.env['RELAY_URL'] || usualRelay))
    const secret = await secretOf(source, io)
    const nowMs = Date.now()
    const body = file === undefined ? exampleBody(source, nowMs) : new Uint8Array(await readBytes(file))
    if (body === undefined) throw new Misuse(noExample(source))
    let request: SignedRequest
    try {
      request = await signRequest(source, { origin, body, secret, nowMs, id: values.id ?? `msg_${randomUUID()}` })
    } catch (error) {
      throw error instanceof CannotSign ? new Misuse(`${name}: ${error.message}`) : error
    }
    if (values.send !== undefined) return send(request, io)
    // The file itself is sent only where signing did not change the body (`bodyKey` does).
    const asItIs = file !== undefined && file !== '-' && Buffer.compare(request.body, body) === 0
    const command = curlOf(request, asItIs ? file : undefined)
    if (command === undefined) throw new Misuse('the body is no text: name its file, or send it with --send')
    io.out(command)
    return exit.ok
  },
}

function noExample({ name, sample }: Source): string {
  return sample === undefined
    ? `${name} has no sample: name a file`
    : `${name} takes bodies apart, and its sample is one event: name a file with a whole body`
}

/** @throws Misuse where nobody can know it here */
async function secretOf(source: Source, { env, err }: Pick<Io, 'env' | 'err'>): Promise<string> {
  if (source.auth.needsSecret === false) return ''
  const name = secretName(source.name)
  const set = env[name] || readDevVars(process.cwd())[name]
  if (set !== undefined) {
    const read = list.safeParse(set)
    const [first] = read.success ? read.data : []
    if (first === undefined) throw new Misuse(`${name} is no list of secrets`)
    return first
  }
  const dev = await devSecretOf(source)
  if (dev === undefined) throw new Misuse(`set ${name}: ${source.auth.name} takes no secret that can be made up`)
  err(`${name} is not set: signed with the secret that target-relay dev uses`)
  return dev
}

/** @throws Misuse for what is no address */
function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw new Misuse('the relay is an address, as http://127.0.0.1:8787')
  return url.href.replace(/\/$/, '')
}

async function send({ method, url, headers, body }: SignedRequest, { out, err }: Io): Promise<Exit> {
  let response: Response
  let answer: string
  try {
    const signal = AbortSignal.timeout(timeoutMs)
    response = await fetch(url, { method, headers: { ...headers }, body, redirect: 'manual', signal })
    answer = await response.text()
  } catch (error) {
    throw new Failed(`${new URL(url).origin} does not answer: ${reasonOf(error)}`)
  }
  if (answer !== '') out(answer)
  if (response.ok) return exit.ok
  err(`sign: the relay answered ${response.status}`)
  return exit.failed
}
