import { availableParallelism } from 'node:os'
import { fileURLToPath, URL } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  // The examples import the package by its name, as its users do.
  resolve: { alias: { 'target-relay': fileURLToPath(new URL('src/index.ts', import.meta.url)) } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/runtimes/**', 'test/console/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Files wait for processes more than they compute: with one core less than there are, two would leave one idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
})
