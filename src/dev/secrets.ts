/**
 * Secrets of `target-relay dev`, which listens on loopback only: the same on every machine, so that a command can be
 * written down. Each names what it is, so that nobody takes it for a secret.
 */
import { createHash } from 'node:crypto'
import type { Sending } from '../edge/auth/sending.ts'
import type { Source } from '../edge/source/types.ts'

export const devTokens = { api: 'dev-api-token-of-this-machine', admin: 'dev-admin-token-of-this-machine' } as const

/** @returns undefined where the scheme needs none, or takes none that can be made up here: a sender's public key */
export async function devSecretOf({ name, auth }: Pick<Source, 'name' | 'auth'>): Promise<string | undefined> {
  if (auth.needsSecret === false) return undefined
  const secret = madeUp(auth.sending, `dev-secret-of-${name}`)
  return secret !== undefined && (await auth.takesSecret?.(secret)) === false ? undefined : secret
}

function madeUp(sending: Sending | undefined, text: string): string | undefined {
  switch (sending?.by) {
    case 'basic':
      return `dev:${text}`
    case 'either': {
      for (const { label, sending: way } of sending.ways) {
        const secret = madeUp(way, text)
        if (secret !== undefined) return label === undefined ? secret : `${label}:${secret}`
      }
      return undefined
    }
    case 'signature': {
      const { algorithm, secret: { encoding = 'utf8', prefix = '' } = {} } = sending.descriptor
      if (!algorithm.startsWith('HMAC-')) return undefined
      // As many bytes as a real one.
      const bytes = createHash('sha256').update(text).digest()
      return encoding === 'utf8' ? `${prefix}${text}` : `${prefix}${bytes.toString(encoding)}`
    }
    case 'private-key':
      return undefined
    default:
      return text
  }
}
