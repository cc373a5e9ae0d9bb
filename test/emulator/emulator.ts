/**
 * An Adobe Target to develop and test against: the update endpoint, the profile fetch, and a control API
 * under `/__emulator/`. It counts what it receives by itself and shares no code with the relay, so that the relay's
 * claims can be checked against it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { RollingCounter } from './counter.ts'
import { type Decoded, decodeUpdate } from './decode.ts'
import { type Fault, Faults } from './faults.ts'
import { Profiles } from './profiles.ts'

export interface EmulatorOptions {
  /** A free one unless given. */
  readonly port?: number
  readonly clientCode?: string
  /** Requires `Authorization: Bearer <token>`. */
  readonly token?: string
  /** Every visitor is known, as if each had been on the site. */
  readonly autoSeed?: boolean
  /** The rolling window that calls are counted in. */
  readonly windowMs?: number
  /** Refuses further calls after this many in a window, as Target is believed to; without it, it only counts. */
  readonly quota?: number
  /** The documentation states none of these: each default is a guess, and can be set. */
  readonly statuses?: {
    readonly overQuota?: number
    readonly tooLarge?: number
    readonly malformed?: number
    readonly forbidden?: number
    readonly wrongClient?: number
  }
  readonly contentType?: string
  /** Answers in the form that Adobe's page prints, without tags. */
  readonly plain?: boolean
  readonly maxUrlBytes?: number
  readonly maxBodyBytes?: number
  readonly now?: () => number
  /** Serves https with this key and certificate, PEM. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** How long an idle connection stays open. */
  readonly keepAliveMs?: number
  /**
   * Called for each call with its time of arrival, once its body is complete (an aborted request is not a call), and for
   * each update before it is answered, to keep a record that outlives the process.
   */
  readonly onCall?: (arrivedMs: number) => void
  readonly onTaken?: (call: TakenCall) => void
}

export interface Statistics {
  /** Every request to the update endpoint, whatever its outcome. */
  readonly calls: number
  /** Updates accepted. */
  readonly accepted: number
  /** Updates of unknown visitors. */
  readonly unknownVisitor: number
  readonly malformed: number
  readonly maxInWindow: number
  readonly byStatus: Readonly<Record<string, number>>
}

export interface TakenCall extends Decoded {
  readonly atMs: number
  readonly method: string
}

export interface Emulator extends AsyncDisposable {
  readonly origin: string
  readonly profiles: Profiles
  readonly faults: Faults
  /** The last accepted updates, oldest first. */
  readonly taken: readonly TakenCall[]
  statistics(): Statistics
  /** Forgets profiles, counts and faults. */
  reset(): void
  close(): Promise<void>
}

const success =
  '<response>\n    <success>true</success>\n    <pcId></pcId>\n    <message>Request successfully submitted</message>\n</response>\n'
const refusal = (message: string) =>
  `<response>\n    <success>false</success>\n    <pcId></pcId>\n    <message>${message}</message>\n</response>\n`
const maxTakenKept = 100_000

export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const {
    clientCode = 'demo',
    token,
    autoSeed = false,
    windowMs = 86_400_000,
    quota,
    contentType = 'text/xml;charset=UTF-8',
    plain = false,
  } = options
  const { maxUrlBytes = 8_192, maxBodyBytes = 61_440, now = Date.now, statuses = {} } = options
  const profiles = new Profiles()
  const faults = new Faults()
  const taken: TakenCall[] = []
  const usedBefore = new WeakSet<Socket>()
  let counter = new RollingCounter(windowMs)
  let counts = { accepted: 0, unknownVisitor: 0, malformed: 0 }
  let byStatus: Record<string, number> = {}

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const reusedConnection = usedBefore.has(request.socket)
    usedBefore.add(request.socket)
    // Counted at arrival: a call that is refused, hangs or is reset counts too.
    const isUpdate = /^\/m2\/[^/]*\/profile\/update(\?|$)/.test(request.url ?? '')
    const arrivedMs = now()
    const inWindow = isUpdate ? counter.add(arrivedMs) : 0
    readAll(request).then(
      (body) => {
        if (!isUpdate) return other(request, response, body)
        options.onCall?.(arrivedMs)
        return update(request, response, body, inWindow, reusedConnection)
      },
      () => response.destroy(),
    )
  }
  const server = options.tls === undefined ? createServer(onRequest) : createSecureServer(options.tls, onRequest)
  server.keepAliveTimeout = options.keepAliveMs ?? 60_000
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve),
  )
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }

  const emulator: Emulator = {
    origin: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    profiles,
    faults,
    taken,
    statistics: () => ({
      calls: counter.total,
      ...counts,
      maxInWindow: counter.mostInWindow,
      byStatus: { ...byStatus },
    }),
    reset: () => {
      profiles.clear()
      faults.clear()
      taken.length = 0
      counter = new RollingCounter(windowMs)
      counts = { accepted: 0, unknownVisitor: 0, malformed: 0 }
      byStatus = {}
    },
    close,
    [Symbol.asyncDispose]: close,
  }
  return emulator

  function update(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    inWindow: number,
    reusedConnection: boolean,
  ): void {
    const url = request.url ?? ''
    const wrong = wrongWith(request, url, body, inWindow)
    if (wrong !== undefined) return send(response, wrong.status, refusal(wrong.message))
    const query = url.includes('?') ? url.slice(url.indexOf('?') + 1) : ''
    const decoded = decodeUpdate([query, body.toString('latin1')].filter((part) => part !== '').join('&'))
    if (typeof decoded === 'string') {
      counts.malformed++
      return send(response, statuses.malformed ?? 400, refusal(decoded))
    }
    const fault = faults.strike({ visitor: decoded.visitor, names: new Set(decoded.pairs.keys()), reusedConnection })
    if (fault !== undefined) return fail(fault, request, response, decoded)
    take(request, decoded)
    return send(response, 200, plain ? 'true Request successfully submitted' : success)
  }

  function wrongWith(
    request: IncomingMessage,
    url: string,
    body: Buffer,
    inWindow: number,
  ): { status: number; message: string } | undefined {
    if (request.method !== 'GET' && request.method !== 'POST') return { status: 405, message: 'method not allowed' }
    if (quota !== undefined && inWindow > quota) return { status: statuses.overQuota ?? 503, message: 'quota exceeded' }
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`)
      return { status: statuses.forbidden ?? 403, message: 'Forbidden' }
    if (url.split('/')[2] !== clientCode) return { status: statuses.wrongClient ?? 404, message: 'no such client' }
    const urlBytes = Buffer.byteLength(`${emulator.origin}${url}`)
    if (request.method === 'GET' ? urlBytes > maxUrlBytes || body.length > 0 : body.length > maxBodyBytes)
      return { status: statuses.tooLarge ?? 413, message: 'too large' }
    if (body.length > 0 && !/^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers['content-type'] ?? ''))
      return { status: 415, message: 'not a form' }
    return undefined
  }

  function take(request: IncomingMessage, decoded: Decoded): void {
    counts.accepted++
    if (autoSeed && profiles.get(decoded.visitor) === undefined) profiles.seed(decoded.visitor, {}, now())
    if (!profiles.update(decoded.visitor, decoded.pairs, now())) counts.unknownVisitor++
    const call = { ...decoded, atMs: now(), method: request.method ?? '' }
    options.onTaken?.(call)
    taken.push(call)
    if (taken.length > maxTakenKept) taken.shift()
  }

  function fail(fault: Fault, request: IncomingMessage, response: ServerResponse, decoded: Decoded): void {
    switch (fault.kind) {
      case 'status':
        return send(response, fault.status ?? 503, fault.body ?? '', fault.headers)
      case 'refuse':
        return send(response, 200, refusal(fault.message ?? 'refused'))
      case 'body':
        take(request, decoded)
        return send(response, 200, fault.body ?? '')
      case 'delay':
        setTimeout(() => {
          take(request, decoded)
          send(response, 200, success)
        }, fault.delayMs ?? 100).unref()
        return undefined
      case 'hang':
        if (fault.take === true) take(request, decoded)
        return undefined
      case 'reset-before':
        request.socket.resetAndDestroy()
        return undefined
      case 'reset-after':
        take(request, decoded)
        request.socket.resetAndDestroy()
        return undefined
      case 'close-kept-alive':
        take(request, decoded)
        request.socket.destroy()
        return undefined
      case 'drop':
        return send(response, 200, success)
      case 'swap': {
        const [name] = decoded.pairs.keys()
        take(request, {
          ...decoded,
          pairs: new Map([...decoded.pairs].map(([key, value]) => [key, key === name ? `${value}-swapped` : value])),
        })
        return send(response, 200, success)
      }
      case 'repeat': {
        take(request, decoded)
        // An older update is applied again, late, as by a Target that reorders.
        const earlier = taken.find((call) => call.visitor === decoded.visitor)
        if (earlier !== undefined) profiles.update(earlier.visitor, earlier.pairs, now())
        counter.add(now())
        return send(response, 200, success)
      }
    }
  }

  function other(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    const url = new URL(request.url ?? '/', emulator.origin)
    if (url.pathname.startsWith('/rest/v1/profiles/')) return fetchProfile(url, response)
    if (url.pathname.startsWith('/__emulator/')) return control(request, response, url, body)
    return json(response, 404, { status: 404, message: 'not found' })
  }

  function fetchProfile(url: URL, response: ServerResponse): void {
    const client = url.searchParams.get('client')
    const [first = '', second] = url.pathname.slice('/rest/v1/profiles/'.length).split('/').map(decodeURIComponent)
    const byThirdParty = first === 'thirdPartyId'
    const visitor = byThirdParty ? `3p:${second ?? ''}` : `pc:${first}`
    const profile = client === clientCode ? profiles.get(visitor) : undefined
    if (profile === undefined) {
      const by = byThirdParty ? `third party id=${second ?? ''}` : `mboxPC=${first}`
      return json(response, 404, { status: 404, message: `No profile found for client ${client ?? ''} with ${by}` })
    }
    const attributes = [...profile.attributes].map(([name, { value, modifiedAtMs }]) => [
      name,
      { value, modifiedAt: new Date(modifiedAtMs).toISOString() },
    ])
    return json(response, 200, {
      client: clientCode,
      visitorId: byThirdParty ? { thirdPartyId: second } : { tntId: first },
      modifiedAt: new Date(profile.modifiedAtMs).toISOString(),
      profileAttributes: Object.fromEntries(attributes),
    })
  }

  function control(request: IncomingMessage, response: ServerResponse, url: URL, body: Buffer): void {
    const asked = `${request.method} ${url.pathname.slice('/__emulator/'.length)}`
    switch (asked) {
      case 'GET statistics':
        return json(response, 200, emulator.statistics())
      case 'GET profile': {
        const values = profiles.values(url.searchParams.get('visitor') ?? '')
        return json(response, values === undefined ? 404 : 200, values ?? { message: 'nobody is known by that id' })
      }
      case 'POST seed': {
        const { visitor, attributes = {} } = JSON.parse(body.toString('utf8')) as {
          visitor: string
          attributes?: Record<string, string>
        }
        profiles.seed(visitor, attributes, now())
        return json(response, 200, {})
      }
      case 'POST faults':
        faults.add(JSON.parse(body.toString('utf8')) as Fault)
        return json(response, 200, {})
      case 'DELETE faults':
        faults.clear()
        return json(response, 200, {})
      case 'POST reset':
        emulator.reset()
        return json(response, 200, {})
      default:
        return json(response, 404, { message: 'no such control' })
    }
  }

  function send(
    response: ServerResponse,
    status: number,
    body: string,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    byStatus[status] = (byStatus[status] ?? 0) + 1
    response.writeHead(status, { 'content-type': contentType, ...headers }).end(body)
  }

  function json(response: ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
