import { defineConfig } from 'vitest/config'

/** For `scripts/mutation.ts`, which names the test files; by itself it runs none. */
export default defineConfig({
  test: { include: (process.env['MUTATION_TESTS'] ?? '').split(' '), passWithNoTests: true, testTimeout: 60_000 },
})
