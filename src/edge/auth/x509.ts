/** The public key in a PEM text: a key (SPKI) or an X.509 certificate, whose validity is not judged here. */
import { decodeBase64 } from './encodings.ts'

const pem = /-----BEGIN (PUBLIC KEY|CERTIFICATE)-----([A-Za-z0-9+/=\s]+)-----END \1-----/

/** DER of the SubjectPublicKeyInfo (RFC 5280 §4.1); undefined where there is none. */
export function publicKeyIn(text: string): Uint8Array<ArrayBuffer> | undefined {
  const [, kind, base64 = ''] = pem.exec(text) ?? []
  const der = kind === undefined ? undefined : decodeBase64(base64.replace(/\s/g, ''))
  return der === undefined || kind === 'PUBLIC KEY' ? der : keyOfCertificate(der)
}

const sequence = 0x30
/** The version of a certificate, explicitly tagged; version 1 leaves it out. */
const version = 0xa0
/** Serial number, algorithm, issuer, validity and subject stand before the key. */
const fieldsBefore = 5

function keyOfCertificate(der: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
  const certificate = elementAt(der, 0)
  const body = certificate?.tag === sequence ? elementAt(der, certificate.start) : undefined
  if (body?.tag !== sequence) return undefined
  let at = body.start
  const first = elementAt(der, at)
  if (first?.tag === version) at = first.end
  for (let field = 0; field < fieldsBefore; field++) at = elementAt(der, at)?.end ?? der.byteLength
  const key = elementAt(der, at)
  return key?.tag === sequence && key.end <= body.end ? der.slice(at, key.end) : undefined
}

/** A DER element by its place; undefined where it does not lie within the bytes. */
function elementAt(der: Uint8Array, at: number) {
  const [tag, length] = [der[at], der[at + 1]]
  if (tag === undefined || length === undefined) return undefined
  const bytes = length < 0x80 ? 0 : length & 0x7f
  if (bytes > 3) return undefined
  const size = bytes === 0 ? length : der.subarray(at + 2, at + 2 + bytes).reduce((sum, byte) => sum * 256 + byte, 0)
  const start = at + 2 + bytes
  const end = start + size
  return end <= der.byteLength ? { tag, start, end } : undefined
}
