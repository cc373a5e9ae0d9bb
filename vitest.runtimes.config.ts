import { defineConfig } from 'vitest/config'

/** `npm run test:runtimes`: one suite, unchanged, against the relay on each runtime. */
export default defineConfig({
  test: {
    include: ['test/runtimes/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Each test starts processes of its own: two files at once would measure each other.
    fileParallelism: false,
  },
})
