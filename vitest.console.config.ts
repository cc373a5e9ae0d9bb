import { fileURLToPath, URL } from 'node:url'
import { defineConfig } from 'vitest/config'

/** `npm run test:console`: the console in a browser. */
export default defineConfig({
  resolve: { alias: { 'target-relay': fileURLToPath(new URL('src/index.ts', import.meta.url)) } },
  test: {
    include: ['test/console/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Each moves the clock of its process.
    fileParallelism: false,
  },
})
