import { createHmac } from 'node:crypto'
import type { Greet } from 'target-relay'

/** X asks by GET for the HMAC of its token, under the secret that signs its events too. */
export const crc: Greet = ({ method, query }) => {
  const secret = process.env['HOOK_SECRET_X']
  const token = query.get('crc_token')
  // Whatever is signed here, a stranger can send as an event: so nothing that is JSON.
  const isToken = token !== null && /^(?=.*[A-DF-Za-df-z])[\w-]{8,100}={0,2}$/.test(token)
  if (method !== 'GET' || secret === undefined || !isToken) return undefined
  const signed = createHmac('sha256', secret).update(token).digest('base64')
  return { status: 200, body: { response_token: `sha256=${signed}` } }
}
