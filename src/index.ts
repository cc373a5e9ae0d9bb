/**
 * target-relay as a library: sources and authentication schemes, and the relay to mount in an app or a Worker of your own
 * (docs/library.md). Runtime-neutral; storages are in `target-relay/sqlite` and `target-relay/workers`, the server in
 * `target-relay/server`.
 */
export type { Ledger, Usage } from './core/ledger/port.ts'
export type { Lane, Visitor } from './core/update/update.ts'
export type { FlushReport } from './cron/report.ts'
export * from './edge/auth/index.ts'
export { base64Json, fromEnvelope, json, json as jsonText, multipart } from './edge/source/envelopes.ts'
export {
  cloudEvents,
  echoField,
  echoHeader,
  echoQuery,
  eventGrid,
  type Greet,
  type Greeted,
  type GreetRequest,
  greetings,
  ok,
} from './edge/source/greet.ts'
export { eventTime, id, text } from './edge/source/schemas.ts'
export { source } from './edge/source/source.ts'
export type { AttributeValue, Format, Mapped, MappedUpdate, Source, SourceOptions, Span } from './edge/source/types.ts'
export type { Relay } from './relay/compose.ts'
export { createRelay, type RelayOptions, readSettings } from './relay/create.ts'
export { SettingsError } from './relay/errors.ts'
export type { Settings } from './relay/settings.ts'
export type { Storage } from './relay/storage.ts'
