/** Deliberate bugs in what a newcomer uses: signed requests, `dev`, `init`. */
import type { Mutant } from './mutant.ts'

const sign = ['test/dev/sign.test.ts']
const dev = ['test/cli/dev.test.ts']
const init = ['test/first-hour.test.ts']

export const firstHourMutants: readonly Mutant[] = [
  {
    name: 'leave a quote in a printed command as it is',
    breaks: 'security',
    file: 'src/dev/curl.ts',
    find: 'text.replaceAll("\'", "\'\\\\\'\'")',
    replace: 'text',
    tests: sign,
  },
  {
    name: 'let curl read a file that a printed body names',
    breaks: 'security',
    file: 'src/dev/curl.ts',
    find: 'undefined : `--data-raw ',
    replace: 'undefined : `--data-binary ',
    tests: sign,
  },
  {
    name: 'round the numbers of a body that is signed within',
    breaks: 'G6',
    file: 'src/dev/sign-draft.ts',
    find: 'return encodeUtf8(JSON.stringify(read.value))',
    replace: 'return encodeUtf8(JSON.stringify(JSON.parse(JSON.stringify(read.value))))',
    tests: sign,
  },
  {
    name: 'let a developer’s own settings name the Target of dev',
    breaks: 'security',
    file: 'src/cli/dev/settings.ts',
    find: '    TARGET_ORIGIN: targetOrigin,\n',
    replace: '',
    tests: dev,
  },
  {
    name: 'leave the processes of dev running',
    breaks: 'G7',
    file: 'src/cli/dev/relay-process.ts',
    find: 'process.kill(-pid, signal)',
    replace: "process.kill(pid, signal === 'SIGTERM' ? 0 : signal)",
    tests: dev,
  },
  {
    name: 'write a project over what a folder holds',
    breaks: 'security',
    file: 'src/cli/init.ts',
    find: 'existsSync(folder) && readdirSync(folder).length > 0',
    replace: "existsSync(join(folder, 'package.json'))",
    tests: init,
  },
]
