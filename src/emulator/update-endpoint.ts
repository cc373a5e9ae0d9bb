/** `/m2/<client>/profile/update`: judges a call, lets a fault strike, and keeps what it took and counted. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { RollingCounter } from './counter.ts'
import { type Decoded, decodeUpdate } from './decode.ts'
import { type Fault, Faults } from './faults.ts'
import type { EmulatorOptions, Statistics, TakenCall } from './options.ts'
import { Profiles } from './profiles.ts'

const success =
  '<response>\n    <success>true</success>\n    <pcId></pcId>\n    <message>Request successfully submitted</message>\n</response>\n'
const refusal = (message: string) =>
  `<response>\n    <success>false</success>\n    <pcId></pcId>\n    <message>${message}</message>\n</response>\n`
const maxTakenKept = 100_000
const dayMs = 86_400_000

/** A call that has arrived whole. */
export interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
  /** The calls of the window that ends with this one. */
  readonly inWindow: number
  readonly reusedConnection: boolean
}

export class UpdateEndpoint {
  readonly profiles = new Profiles()
  readonly faults = new Faults()
  readonly taken: TakenCall[] = []
  readonly #options: EmulatorOptions
  readonly #now: () => number
  #counter: RollingCounter
  #counts = { accepted: 0, unknownVisitor: 0, malformed: 0 }
  #byStatus: Record<string, number> = {}

  constructor(options: EmulatorOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#counter = new RollingCounter(options.windowMs ?? dayMs)
  }

  /** Counted at arrival: a call that is refused, hangs or is reset counts too. */
  arrive(atMs: number): number {
    return this.#counter.add(atMs)
  }

  statistics(): Statistics {
    return {
      calls: this.#counter.total,
      ...this.#counts,
      maxInWindow: this.#counter.mostInWindow,
      byStatus: { ...this.#byStatus },
    }
  }

  reset(): void {
    this.profiles.clear()
    this.faults.clear()
    this.taken.length = 0
    this.#counter = new RollingCounter(this.#options.windowMs ?? dayMs)
    this.#counts = { accepted: 0, unknownVisitor: 0, malformed: 0 }
    this.#byStatus = {}
  }

  /** @param origin of the emulator: the length of a URL counts with it */
  answer(call: Call, origin: string): void {
    const { request, response, body, reusedConnection } = call
    const url = request.url ?? ''
    const wrong = this.#wrongWith(call, `${origin}${url}`)
    if (wrong !== undefined) return this.#send(response, wrong.status, refusal(wrong.message))
    const query = url.includes('?') ? url.slice(url.indexOf('?') + 1) : ''
    const decoded = decodeUpdate([query, body.toString('latin1')].filter((part) => part !== '').join('&'))
    if (typeof decoded === 'string') {
      this.#counts.malformed++
      return this.#send(response, this.#options.statuses?.malformed ?? 400, refusal(decoded))
    }
    const { visitor, pairs } = decoded
    const fault = this.faults.strike({ visitor, names: new Set(pairs.keys()), reusedConnection })
    if (fault !== undefined) return this.#fail(fault, request, response, decoded)
    this.#take(request, decoded)
    return this.#send(response, 200, this.#options.plain === true ? 'true Request successfully submitted' : success)
  }

  #wrongWith({ request, body, inWindow }: Call, url: string): { status: number; message: string } | undefined {
    const { clientCode = 'demo', token, quota, statuses = {} } = this.#options
    const { maxUrlBytes = 8_192, maxBodyBytes = 61_440 } = this.#options
    if (request.method !== 'GET' && request.method !== 'POST') return { status: 405, message: 'method not allowed' }
    if (quota !== undefined && inWindow > quota) return { status: statuses.overQuota ?? 503, message: 'quota exceeded' }
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`)
      return { status: statuses.forbidden ?? 403, message: 'Forbidden' }
    if (request.url?.split('/')[2] !== clientCode)
      return { status: statuses.wrongClient ?? 404, message: 'no such client' }
    const isGet = request.method === 'GET'
    if (isGet ? Buffer.byteLength(url) > maxUrlBytes || body.length > 0 : body.length > maxBodyBytes)
      return { status: statuses.tooLarge ?? 413, message: 'too large' }
    if (body.length > 0 && !/^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers['content-type'] ?? ''))
      return { status: 415, message: 'not a form' }
    return undefined
  }

  #take(request: IncomingMessage, decoded: Decoded): void {
    const nowMs = this.#now()
    this.#counts.accepted++
    if (this.#options.autoSeed === true && this.profiles.get(decoded.visitor) === undefined)
      this.profiles.seed(decoded.visitor, {}, nowMs)
    if (!this.profiles.update(decoded.visitor, decoded.pairs, nowMs)) this.#counts.unknownVisitor++
    const call = { ...decoded, atMs: nowMs, method: request.method ?? '' }
    this.#options.onTaken?.(call)
    this.taken.push(call)
    if (this.taken.length > maxTakenKept) this.taken.shift()
  }

  #fail(fault: Fault, request: IncomingMessage, response: ServerResponse, decoded: Decoded): void {
    switch (fault.kind) {
      case 'status':
        return this.#send(response, fault.status ?? 503, fault.body ?? '', fault.headers)
      case 'refuse':
        return this.#send(response, 200, refusal(fault.message ?? 'refused'))
      case 'body':
        this.#take(request, decoded)
        return this.#send(response, 200, fault.body ?? '')
      case 'delay':
        setTimeout(() => {
          this.#take(request, decoded)
          this.#send(response, 200, success)
        }, fault.delayMs ?? 100).unref()
        return undefined
      case 'hang':
        if (fault.take === true) this.#take(request, decoded)
        return undefined
      case 'reset-before':
        request.socket.resetAndDestroy()
        return undefined
      case 'reset-after':
        this.#take(request, decoded)
        request.socket.resetAndDestroy()
        return undefined
      case 'close-kept-alive':
        this.#take(request, decoded)
        request.socket.destroy()
        return undefined
      case 'drop':
        return this.#send(response, 200, success)
      case 'swap': {
        const [name] = decoded.pairs.keys()
        this.#take(request, {
          ...decoded,
          pairs: new Map([...decoded.pairs].map(([key, value]) => [key, key === name ? `${value}-swapped` : value])),
        })
        return this.#send(response, 200, success)
      }
      case 'repeat': {
        this.#take(request, decoded)
        // An older update is applied again, late, as by a Target that reorders.
        const earlier = this.taken.find((call) => call.visitor === decoded.visitor)
        if (earlier !== undefined) this.profiles.update(earlier.visitor, earlier.pairs, this.#now())
        this.#counter.add(this.#now())
        return this.#send(response, 200, success)
      }
    }
  }

  #send(response: ServerResponse, status: number, body: string, headers: Readonly<Record<string, string>> = {}): void {
    this.#byStatus[status] = (this.#byStatus[status] ?? 0) + 1
    const { contentType = 'text/xml;charset=UTF-8' } = this.#options
    response.writeHead(status, { 'content-type': contentType, ...headers }).end(body)
  }
}
