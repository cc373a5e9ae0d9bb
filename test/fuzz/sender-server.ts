/**
 * The senders' requests as bytes over a socket to a server: handshakes, proofs and formats, odd and forged.
 *
 * Held: nothing that its sender did not sign is accepted; nothing is repeated beyond its bound; nothing is asked of an address
 * that a request named; an authenticated event is never refused; a sender's fault is never answered 5xx.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { bytesOf, type RawRequest } from '../corpus/corpus.ts'
import { newFolder, startRelay } from '../runtimes/relays.ts'
import { vendorKeys } from '../senders/keys.ts'
import { requestOf, requests, type SenderRequest, secretSettings } from '../senders/requests.ts'
import { settingsFor } from '../support/settings.ts'
import { type RawAnswer, sendRaw } from '../support/socket.ts'
import { faultOf, problemIn, serversOwn } from './answers.ts'
import type { FuzzOptions, FuzzReport } from './app.ts'
import { type Draw, drawOf } from './draw.ts'
import { intrudersCertificate, intrudersRequest, intrudersVisitor } from './intruder.ts'
import { mutateBytes, mutateText } from './mutate.ts'
import { changedRequest, oddHandshake, signsBody, withBody } from './senders.ts'
import { faultsOfProcess } from './server.ts'

const host = 'relay.example'
/** Of bytes that may be no whole request: on loopback the relay answers one much sooner. */
const unansweredMs = 150
/** Of one value, by the ready-made greetings. */
const mostEchoedChars = 256
const repeatable = /^[A-Za-z0-9._~:/+=@* -]*$/

/** Signed forms, which may be written in several ways, and secrets that stand in the body: no body may be changed here. */
const bindsBody = /^(twilio-|mandrill|microsoft-graph|aircall)/
/** Their requests carry a secret that covers no body: with it every body must be taken in. */
const carriesSecret = requests.filter(
  ({ source, expected }) =>
    !signsBody.has(source) && !bindsBody.test(source) && expected.profiles !== undefined && expected.status < 300,
)
const accepted = requests.filter(({ expected }) => expected.profiles !== undefined && expected.status < 300)
const signed = accepted.filter(({ source }) => signsBody.has(source))
/**
 * These may be answered 503 whatever a stranger sends: a key that can't be fetched now, a confirmation within ten minutes of
 * another, no secret.
 */
const mayBeUnavailable =
  /^\/hooks\/(sns|adobe-io|paypal|plaid|pub-sub|pub-sub-unwrapped|iot|marketing-cloud|no-secret)\b/

/** One request, and what must not come of it. */
interface Drawn {
  readonly bytes: Buffer
  /** `event`: it must be taken in. `forgery`: it must not. `greeting`: it may only be answered. */
  readonly kind: 'event' | 'forgery' | 'greeting' | 'bytes'
  /** The body that was signed: no other may be accepted. */
  readonly signedBody?: Buffer
}

export async function fuzzSenderServer({
  seed,
  from = 0,
  runs,
  untilMs = Number.POSITIVE_INFINITY,
}: FuzzOptions): Promise<FuzzReport> {
  await using emulator = await startEmulator({ autoSeed: true })
  const listener = await startListener()
  const settings = settingsFor(emulator.origin, {
    ...secretSettings,
    TEST_SENDER_KEYS: JSON.stringify(vendorKeys),
    TEST_FUZZ_LISTENER: listener.origin,
  })
  const relay = await startRelay('node', newFolder(), settings, 'test/fuzz/sender-sources.ts')
  const answers: Record<string, number> = {}
  const faults: string[] = []
  let run = from
  try {
    for (; run < from + runs && faults.length < 20 && Date.now() < untilMs; run++) {
      const drawn = await drawnRequest(drawOf(seed, run), Date.now(), listener.origin)
      const before = emulator.statistics().calls
      const given = await sendRaw(relay.url, drawn.bytes, drawn.kind === 'bytes' ? unansweredMs : undefined)
      const fault =
        listener.asked() ?? profileFault(emulator) ?? judged(drawn, given, emulator.statistics().calls - before)
      const problem = problemIn(given?.body ?? '')
      const answer = `${drawn.kind} ${given?.status ?? 'none'}${problem === undefined ? '' : ` ${problem}`}`
      answers[answer] = (answers[answer] ?? 0) + 1
      if (fault !== undefined)
        faults.push(
          `--seed ${seed} --from ${run} --runs 1: ${fault} (${answer} ${given?.body.slice(0, 200)}): ${JSON.stringify(drawn.bytes.toString('latin1').slice(0, 600))}`,
        )
    }
    faults.push(...(await faultsOfProcess(relay)))
  } finally {
    await relay.end('SIGKILL')
    listener.server.close()
  }
  return { runs: run - from, answers, faults }
}

/** Where the intruder's keys lie; and the relay is never to ask. */
async function startListener(): Promise<{ server: Server; origin: string; asked: () => string | undefined }> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(request.url ?? '')
    response.end(intrudersCertificate)
  })
  // A connection that is no HTTP, as of an https address, counts too.
  server.on('connection', () => seen.push('a connection'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const asked = () => {
    const [one] = [...seen].reverse()
    seen.length = 0
    return one === undefined ? undefined : `an address that only a request named was asked: ${decodeURIComponent(one)}`
  }
  return { server, origin, asked }
}

function profileFault({ profiles }: Emulator): string | undefined {
  return profiles.values(`3p:${intrudersVisitor}`) === undefined ? undefined : 'the intruder changed a profile'
}

async function drawnRequest(draw: Draw, nowMs: number, listener: string): Promise<Drawn> {
  switch (draw.int(10)) {
    case 0:
    case 1:
      return { kind: 'forgery', bytes: bytesOf(await intrudersRequest(draw, nowMs, listener)) }
    case 2:
      return { kind: 'forgery', bytes: bytesOf(await changedRequest(draw, nowMs)) }
    case 3:
      return { kind: 'forgery', bytes: bytesOf(await mistimedRequest(draw, nowMs)) }
    case 4:
    case 5:
      return greeting(await oddHandshake(draw, nowMs))
    case 6:
    case 7:
      return { kind: 'event', bytes: bytesOf(await oddEvent(draw, draw.pick(carriesSecret), nowMs)) }
    case 8:
      return spoiltHeaders(draw, nowMs)
    default: {
      const request = await requestOf(draw.pick(signed), nowMs, host)
      return { kind: 'bytes', bytes: mutateBytes(draw, bytesOf(request)), signedBody: request.body }
    }
  }
}

function greeting(request: RawRequest): Drawn {
  return { kind: request.method === 'POST' ? 'bytes' : 'greeting', bytes: bytesOf(request) }
}

/** An event of any content and label, with its sender's secret. */
async function oddEvent(draw: Draw, one: SenderRequest, nowMs: number): Promise<RawRequest> {
  const request = await requestOf(one, nowMs, host)
  const text = request.body.toString()
  const body = draw.chance(0.2)
    ? mutateBytes(draw, request.body)
    : Buffer.from(draw.chance(0.3) ? inBase64(draw, text) : mutateText(draw, text))
  const type = draw.pick(['', 'text/plain', 'text/xml; charset=utf-16', 'application/json', 'x', 'multipart/form-data'])
  const odd = (name: string, value: string) => {
    if (name === 'content-type') return type
    return /^(ce-|x-goog)/.test(name) ? mutateText(draw, value).replace(/[^\x20-\x7e]/g, '') : value
  }
  const headers = request.headers.map(([name, value]) => [name, draw.chance(0.3) ? odd(name, value) : value] as const)
  return withBody({ ...request, headers }, body)
}

/** Changes what is in base64 within the body, in base64. */
function inBase64(draw: Draw, text: string): string {
  return text.replace(/"([A-Za-z0-9+/]{20,}={0,2})"/g, (_, written: string) =>
    JSON.stringify(
      mutateBytes(draw, Buffer.from(written, 'base64')).toString(draw.pick(['base64', 'base64url', 'hex'])),
    ),
  )
}

/** Signed with the secret, under a time in a form or a distance that is not to be taken. */
async function mistimedRequest(draw: Draw, nowMs: number): Promise<RawRequest> {
  const one = draw.pick(signed.filter(({ source }) => ['klaviyo', 'customer-io', 'plaid', 'qstash'].includes(source)))
  const offMs = draw.pick([-1, 1]) * (draw.pick([400, 3_600, 86_400, 366 * 86_400]) * 1_000)
  // QStash's token has an end and no beginning that is too far back.
  return requestOf(one, nowMs - (one.source === 'qstash' ? Math.abs(offMs) + 400_000 : offMs), host)
}

/** As its sender signed it, but with headers that are repeated, moved, in other letters, or of others. */
async function spoiltHeaders(draw: Draw, nowMs: number): Promise<Drawn> {
  const request = await requestOf(draw.pick(signed), nowMs, host)
  const [name = '', value = ''] = draw.pick(request.headers)
  const odd = draw.pick([mutateText(draw, value), `${value},${value}`, '', value.toUpperCase(), '='.repeat(9_000)])
  const others = draw.pick([
    [],
    [[name.toUpperCase(), value]],
    [[name, odd]],
    Array.from({ length: 12 }, (_, index) => [`x-docusign-signature-${index}`, value]),
    [['transfer-encoding', 'chunked']],
  ] as const) as RawRequest['headers']
  const kept = draw.chance(0.5) ? request.headers : request.headers.filter(([other]) => other !== name)
  const headers = [...kept, ...others].map(([one, text]) => [one, text.replace(/[^\x20-\x7e]/g, '')] as const)
  return { kind: 'bytes', bytes: bytesOf({ ...request, headers }), signedBody: request.body }
}

function judged({ bytes, kind, signedBody }: Drawn, given: RawAnswer | undefined, calls: number): string | undefined {
  if (kind !== 'bytes' && given === undefined) return 'a whole request was not answered'
  if (signedBody !== undefined && calls > 0 && !isWhole(bytes, signedBody)) return 'accepted with another body'
  if (given === undefined) return undefined
  const [method = '', path = ''] = bytes.toString('latin1').split(' ')
  const { status, body: text } = given
  if (text === '' && serversOwn.has(status)) return undefined
  if (kind === 'forgery' && status < 300) return 'a forgery was accepted'
  if (kind === 'forgery' && status === 503 && !mayBeUnavailable.test(path)) return 'a forgery was answered 5xx'
  if (kind === 'event' && status >= 300 && status !== 413) return 'an authenticated event was refused'
  if (kind === 'greeting' && calls > 0) return 'a handshake changed a profile'
  if (status >= 500 && !(status === 503 && mayBeUnavailable.test(path))) return 'a sender’s fault was answered 5xx'
  const type = given.headers.get('content-type') ?? ''
  const isJson = type.includes('json')
  const isEvent = isJson && /"status":"|"results":/.test(text)
  if (status < 300 && !isEvent && !type.includes('xml')) return echoFault(given)
  const headers = { get: (name: string) => given.headers.get(name) ?? null }
  if (isJson && status >= 300) return faultOf(method, path, { status, headers, text })
  return undefined
}

/** Whether the body is the signed one, to its declared end. */
function isWhole(bytes: Buffer, body: Buffer): boolean {
  const start = bytes.indexOf('\r\n\r\n') + 4
  return bytes.subarray(start, start + body.length).equals(body)
}

/** What a greeting repeats beyond its bounds. */
function echoFault({ headers, body }: RawAnswer): string | undefined {
  const type = headers.get('content-type') ?? 'text/plain'
  if (headers.get('x-content-type-options') !== 'nosniff') return 'may be sniffed'
  const isJson = type.startsWith('application/json')
  if (!isJson && !type.startsWith('text/plain')) return `an odd content type: ${type}`
  const values = [...headers.values(), ...(isJson ? Object.values(JSON.parse(body) as object).map(String) : [body])]
  const long = values.find((value) => value.length > mostEchoedChars)
  if (long !== undefined) return `${long.length} characters were repeated`
  return (isJson ? values.slice(headers.size) : [body]).every((value) => repeatable.test(value))
    ? undefined
    : 'characters were repeated that no challenge has'
}
