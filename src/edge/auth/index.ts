/** All authentication schemes, for `src/sources.ts`. */
export * from './jwt.ts'
export * from './presets.ts'
export { type RsaDescriptor, rsa } from './rsa.ts'
export * from './rsa-presets.ts'
export { type AuthFailure, type AuthRequest, type AuthScheme, anyOf, type Greeting, type Verdict } from './scheme.ts'
export type { Sending } from './sending.ts'
export { type SignatureDescriptor, type SignatureOptions, signature } from './signature.ts'
export { apiKey, basic, bearer, bodyKey, queryKey } from './tokens.ts'
