/** Made-up secrets, for tests and the demo only. */
export const testSecrets = {
  hashKey: 'a-hash-key-of-32-bytes-for-tests-only',
  apiToken: 'api-token-for-tests-only',
  adminToken: 'admin-token-for-tests-only',
  hook: (source: string) => `whsec_${Buffer.from(`secret-of-${source}-for-tests-only`).toString('base64')}`,
}
