/** A self-signed certificate of a key, made by openssl. */
import { execFileSync } from 'node:child_process'
import type { KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** @returns PEM */
export function certificateOf(key: KeyObject): string {
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-rsa-'))
  try {
    const [keyFile, file] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    execFileSync('sh', ['-c', `umask 077; cat > ${keyFile}`], {
      input: key.export({ type: 'pkcs8', format: 'pem' }),
    })
    execFileSync('openssl', ['req', '-x509', '-key', keyFile, '-subj', '/CN=made-up', '-days', '2', '-out', file], {
      stdio: 'pipe',
    })
    return readFileSync(file, 'utf8')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
