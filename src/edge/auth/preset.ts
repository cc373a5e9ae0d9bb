/** From descriptions to a preset: a scheme that a source names by its sender. */
import { parseJsonBody } from '../http/body.ts'
import { encodeUtf8 } from './encodings.ts'
import { type AuthScheme, eitherOf } from './scheme.ts'
import { type SignatureDescriptor, type SignatureOptions, signature } from './signature.ts'

export type Preset = ((options?: SignatureOptions) => AuthScheme) & {
  readonly descriptors: readonly SignatureDescriptor[]
}

/** @param descriptors of a sender that signs in several ways, any of which is enough */
export function preset(name: string, ...descriptors: readonly Omit<SignatureDescriptor, 'name'>[]): Preset {
  const named = descriptors.map((descriptor) => ({ name, ...descriptor }))
  const make = (options?: SignatureOptions): AuthScheme => {
    const schemes = named.map((descriptor) => signature(descriptor, options))
    const [only] = schemes
    return schemes.length === 1 && only !== undefined ? only : eitherOf(name, schemes)
  }
  return Object.assign(make, { descriptors: named })
}

/** The fields of an object; none of anything else. */
export function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** The event in a form's `payload` (JSON), otherwise the event itself. */
export function eventIn(event: unknown): unknown {
  const { payload } = fields(event)
  return typeof payload === 'string' ? parseJsonBody(encodeUtf8(payload)) : event
}
