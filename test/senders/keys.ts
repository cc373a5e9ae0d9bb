/** Keys of the vendors that sign with RSA or by tokens, made for one run. */
import { createSign, generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { certificateOf } from '../support/rsa-certificate.ts'
import type { VendorKeys } from './vendors.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })

export const vendorKeys: VendorKeys = {
  certificate: certificateOf(rsa.privateKey),
  publicKey: rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  googleJwk: { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'google-1', alg: 'RS256' } as JsonWebKey,
  plaidJwk: { ...ec.publicKey.export({ format: 'jwk' }), kid: 'plaid-1', alg: 'ES256' } as JsonWebKey,
}

/** SHA-256 with RSA, in base64. */
export function signRsa(content: string): string {
  return createSign('sha256').update(content).sign(rsa.privateKey, 'base64')
}

export function googleToken(claims: Readonly<Record<string, unknown>>): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'google-1' }).sign(rsa.privateKey)
}

export function plaidToken(claims: Readonly<Record<string, unknown>>): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'plaid-1' }).sign(ec.privateKey)
}
