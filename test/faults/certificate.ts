/** A certificate for `localhost`, made for one run; processes trust it through `NODE_EXTRA_CA_CERTS`. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Paths of PEM files. */
export function makeCertificate(folder: string): { readonly key: string; readonly certificate: string } {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...names, '-keyout', key, '-out', certificate],
    {
      stdio: 'ignore',
    },
  )
  return { key, certificate }
}
