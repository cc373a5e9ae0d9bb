/** A relay carries the proofs that its sources import, and no other. */
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
/** Files that only proofs by RSA, by tokens and by published keys need. */
const ofFewSenders = ['jwks', 'jwt', 'remote-keys', 'rsa', 'rsa-presets', 'x509']

/** The names of the files of `src/edge/auth`, and the packages, of which something is in a relay that imports these. */
async function bundled(names: string) {
  const { metafile } = await build({
    stdin: {
      contents: `export { createRelay, source, ${names} } from './src/index.ts'`,
      resolveDir: root,
      loader: 'ts',
    },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    write: false,
    metafile: true,
    outdir: 'unwritten',
  })
  const [output] = Object.values(metafile.outputs)
  const files = Object.entries(output?.inputs ?? {}).flatMap(([file, { bytesInOutput }]) =>
    bytesInOutput > 0 ? file : [],
  )
  return {
    proofs: files.flatMap((file) => /^src\/edge\/auth\/(.+)\.ts$/.exec(file)?.[1] ?? []),
    usesJwt: files.some((file) => file.includes('/hono/dist/utils/jwt')),
  }
}

describe('the bundle', () => {
  it('has nothing of RSA, tokens and published keys where no source imports them', async () => {
    const { proofs, usesJwt } = await bundled('stripe, signature, bearer, queryKey')
    expect(proofs).toEqual(expect.arrayContaining(['presets', 'signature', 'tokens']))
    expect(proofs.filter((name) => ofFewSenders.includes(name))).toEqual([])
    expect(usesJwt).toBe(false)
  })

  it.each([
    ['sns', ['remote-keys', 'rsa', 'rsa-presets', 'x509']],
    ['adobeIo', ['remote-keys', 'rsa', 'rsa-presets', 'x509']],
    ['paypal', ['remote-keys', 'rsa', 'rsa-presets', 'x509']],
    ['jwt', ['jwks', 'jwt', 'remote-keys']],
  ])('has of %s what it needs alone', async (name, expected) => {
    const { proofs } = await bundled(name)
    expect(proofs.filter((one) => ofFewSenders.includes(one)).sort()).toEqual(expected)
  })
})
