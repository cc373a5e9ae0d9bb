/** What the requests of an isolate of a Worker share. */
import type { Mutant } from './mutant.ts'

const handlers = ['test/worker/handlers.test.ts']

export const isolateMutants: readonly Mutant[] = [
  {
    name: 'an isolate takes the settings of its first env for those of all',
    breaks: 'security',
    file: 'src/workers/handlers.ts',
    find: 'const kept = known.get(env)',
    replace: 'const kept = known.get((known.first ??= env))',
    tests: handlers,
  },
  {
    name: 'an isolate builds its relay for every request',
    breaks: 'G7',
    file: 'src/workers/handlers.ts',
    find: 'given.base ??= await build(',
    replace: 'given.base = await build(',
    tests: handlers,
  },
  {
    name: 'a request waits for what another began to build',
    breaks: 'G7',
    file: 'src/workers/handlers.ts',
    find: 'given.base ??= await build(given.settings, sources)',
    replace: 'given.base = await (known.building ??= build(given.settings, sources))',
    tests: handlers,
  },
  {
    name: 'what goes on behind an answer belongs to the first request',
    breaks: 'G2',
    file: 'src/workers/handlers.ts',
    find: 'background: (work) => ctx.waitUntil(work)',
    replace: 'background: (work) => (known.behind ??= ctx).waitUntil(work)',
    tests: handlers,
  },
]
