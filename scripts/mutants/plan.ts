/** Deliberate bugs in what a plan says. A plan protects no guarantee of the relay; it must not promise what won't be. */
import type { Mutant } from './mutant.ts'

const model = ['test/plan/model.test.ts']
const quota = ['test/plan/quota.test.ts']
const command = ['test/cli/plan.test.ts']

export const planMutants: readonly Mutant[] = [
  {
    name: 'a plan that opens the window once a bucket, whatever leaves within it',
    breaks: 'G1',
    file: 'src/plan/quota.ts',
    find: 'nextMultiple(atMs - frees, quotaBucketMs) + frees,',
    replace: 'nextMultiple(atMs, quotaBucketMs),',
    tests: quota,
  },
  {
    name: 'a plan that gives live traffic the reserve of replay',
    breaks: 'G7',
    file: 'src/plan/quota.ts',
    find: 'const ceiling = laneCeiling(settings, lane)',
    replace: "const ceiling = laneCeiling(settings, 'replay')",
    tests: quota,
  },
  {
    name: 'a plan that forgets what a span had',
    breaks: 'G7',
    file: 'src/plan/quota.ts',
    find: 'span.add(beganMs, units)',
    replace: '',
    tests: quota,
  },
  {
    name: 'a plan in which whoever came last goes first',
    breaks: 'G7',
    file: 'src/plan/model.ts',
    find: 'leastFirst(rest, together)',
    replace: 'leastFirst(rest, 0)',
    tests: model,
  },
  {
    name: 'a plan in which newer values overtake nothing',
    breaks: 'G3',
    file: 'src/plan/model.ts',
    find: 'if (this.#isWaiting(register, visitor)) this.#visitors.add(visitor, openRegisters, -1)',
    replace: '',
    tests: model,
  },
  {
    name: 'a plan in which each entry of a visitor costs a call',
    breaks: 'G7',
    file: 'src/plan/model.ts',
    find: '      left.units--\n',
    replace: '      left.units -= entries\n',
    tests: model,
  },
  {
    name: 'a plan in which nothing is in flight',
    breaks: 'G3',
    file: 'src/plan/model.ts',
    find: 'const inFlight = atMs - this.#registers.get(register, sentAtMs) < this.#settings.callMs',
    replace: 'const inFlight = false',
    tests: command,
  },
  {
    name: 'a plan that skips nothing',
    breaks: 'G7',
    file: 'src/plan/model.ts',
    find: '      value !== 0 &&\n',
    replace: '      value === 0 &&\n',
    tests: command,
  },
  {
    name: 'a plan that repeats a cell of a file',
    breaks: 'G8',
    file: 'src/cli/plan/files.ts',
    find: ': its time is neither',
    replace: ': ` + cell + ` is neither',
    tests: command,
  },
  {
    name: 'a plan that fits however late the latest is',
    breaks: 'G7',
    file: 'src/plan/report.ts',
    find: 'if (delays.longestMs > withinMs)',
    replace: 'if (delays.longestMs < 0)',
    tests: command,
  },
]
