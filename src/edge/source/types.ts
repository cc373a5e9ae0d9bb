/** What a deployer writes of a source, and what the relay makes of it. Typed end to end. */
import type * as z from 'zod'
import type { Draft } from '../../core/delivery/prepare.ts'
import type { Lane, Visitor } from '../../core/update/update.ts'
import type { AuthScheme } from '../auth/scheme.ts'
import type { Greet, GreetRequest } from './greet.ts'

/**
 * What an attribute may be given as: numbers and booleans become their JSON form, dates ISO 8601, objects dotted names,
 * arrays JSON text; `undefined` is left out. There is no `null`: Target cannot clear an attribute.
 */
export type AttributeValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | readonly unknown[]
  | { readonly [name: string]: AttributeValue }
  | undefined

/** One update as a mapping gives it. */
export interface MappedUpdate {
  /**
   * The event's id; a repeated one is the same event. Else the source's `eventId`, else the one that the scheme
   * carries.
   */
  readonly id?: string | undefined
  readonly visitor: Visitor
  readonly attributes: Readonly<Record<string, AttributeValue>>
  /** Else the source's `occurredAt`, else the time of arrival. */
  readonly occurredAt?: Draft['occurredAt'] | undefined
}

/** What a mapping gives: one update, several, or nothing to do. */
export type Mapped = MappedUpdate | readonly MappedUpdate[] | null | undefined

/** A span of time: `90s`, `15m`, `1h`, `2d`. */
export type Span = `${number}${'s' | 'm' | 'h' | 'd'}`

export interface SourceOptions<Schema extends z.ZodType> {
  /** Secrets come from `HOOK_SECRET_<SOURCE>`. */
  readonly auth: AuthScheme
  readonly schema: Schema
  readonly map: (event: z.output<Schema>, context: EventContext) => Mapped
  /**
   * How the body is written, whatever its content type calls it: JSON (default); a form, which is read as an object of
   * texts; or text, which the schema parses itself.
   */
  readonly format?: Format
  /** The names that `map` may set, each with the dotted names below it. Default: any. */
  readonly attributes?: readonly string[]
  /** The event's id, for mappings that give none themselves. */
  readonly eventId?: (event: z.output<Schema>, context: EventContext) => string | undefined
  /**
   * The event's own time, for mappings that give none themselves. Without it, here or in the mapping, a scheme that
   * sees no time is refused: a copied request would be good for ever.
   */
  readonly occurredAt?: (event: z.output<Schema>, context: EventContext) => Draft['occurredAt'] | undefined
  /**
   * Takes a body apart into events, before schema and mapping, which then see one at a time: one that can't be mapped
   * is quarantined alone, and the others go. What throws makes the whole body unmappable.
   */
  readonly each?: (body: unknown) => readonly unknown[]
  /**
   * The request headers that `map`, `eventId` and `occurredAt` may read; a dead letter keeps them. Most schemes do not
   * sign headers. Never one that carries a secret.
   */
  readonly headers?: readonly string[]
  /** The methods by which events come. Default POST. */
  readonly methods?: readonly EventMethod[]
  /** Answers a sender's handshake, before authentication (`greet.ts`). */
  readonly greet?: Greet
  /**
   * Says what a person must do to confirm a subscription, where this request asks for it; undefined for all others. It
   * is asked before authentication. The request is kept as a dead letter `confirmation`, one in ten minutes.
   */
  readonly confirmation?: (request: GreetRequest) => string | undefined
  /** The answer to each event that was taken in, for senders that want one of their own: a SOAP acknowledgement. */
  readonly reply?: { readonly contentType: string; readonly body: string }
  /** Default `live`. */
  readonly lane?: Exclude<Lane, 'replay'>
  /**
   * The share of the quota that this source may take before others, 0..1; default all of it. Over its share its updates
   * are sent only while the whole is under the ceiling of the `bulk` lane, so that it can't crowd others out.
   */
  readonly share?: number
  /**
   * Makes no call for an attribute whose value is the one last delivered within `RETENTION_HOURS`. Only where nobody but
   * the relay writes its attributes to Target (docs/sources.md, "What is unchanged"). Default false.
   */
  readonly skipUnchanged?: boolean
  /**
   * Holds its updates back: a profile that was created just now is not yet known to Target, which ignores updates of
   * unknown visitors silently. Shorter than `RETENTION_HOURS`.
   */
  readonly delay?: Span
  /**
   * Accepts that neither the scheme nor the events have a time: whoever got hold of a request may send it again after
   * `RETENTION_HOURS` + 24 h, and set its old values again over newer ones (docs/sources.md, "Copies").
   */
  readonly acceptsCopies?: boolean
  /** How far the sender's clock is known to be ahead: subtracted from the event's time before anything else. */
  readonly clockAhead?: Span
  /** Default 1 MiB; at most 3 MiB. */
  readonly maxBodyBytes?: number
  /** An event as it comes in (with `each`, one of a body), made up: what `npm run lint:sources` and `npm run map -- <source>` try. */
  readonly sample?: z.input<Schema>
  /** The headers of `headers` that come with the sample, made up too. */
  readonly sampleHeaders?: Readonly<Record<string, string>>
}

/** What a mapping may read beside the event. */
export interface EventContext {
  /** Those that the source names, by lower-case name; undefined where the request has none. */
  readonly headers: Readonly<Record<string, string | undefined>>
}

export type EventMethod = 'POST' | 'PUT'

export const formats = ['json', 'form', 'text'] as const
export type Format = (typeof formats)[number]

export interface Source {
  readonly name: string
  readonly auth: AuthScheme
  readonly format: Format
  readonly lane: Lane
  readonly share?: number
  readonly skipsUnchanged: boolean
  /** 0 where it holds nothing back. */
  readonly delayMs: number
  readonly clockAheadMs: number
  /** Whether each update must have a time of its own, since a copied request of its scheme stays good for ever. */
  readonly needsTime: boolean
  /** Whether its options give the event's time if its mapping does not. */
  readonly givesTime: boolean
  readonly maxBodyBytes: number
  readonly methods: readonly EventMethod[]
  /** Lower-case names of the headers that its mapping may read. */
  readonly headers: readonly string[]
  readonly greet?: Greet
  readonly confirmation?: (request: GreetRequest) => string | undefined
  readonly reply?: { readonly contentType: string; readonly body: string }
  readonly sample?: unknown
  /** By lower-case name; those that its mapping may read. */
  readonly sampleHeaders: Readonly<Record<string, string>>
  /** The events in a body: itself alone, unless the source takes it apart. May throw. */
  split(body: unknown): readonly unknown[]
  /** Whether one body may hold several events. */
  readonly splits: boolean
  /** The names that its mapping may set, where it names them. */
  readonly attributes?: readonly string[]
  /** Whether its mapping may set an attribute of this name. */
  allows(attribute: string): boolean
  /** Whether an event is what its schema says. */
  fits(event: unknown): boolean
  /** @param onThrow receives what the mapping threw, for the person who writes it */
  read(event: unknown, context?: EventContext, onThrow?: (error: unknown) => void): Read
}

/** The reason names fields and never repeats a value. */
export type Read =
  | { readonly ok: true; readonly drafts: readonly Draft[] }
  | { readonly ok: false; readonly reason: string }
