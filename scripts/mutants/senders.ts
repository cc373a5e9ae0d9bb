/** Deliberate bugs in what is known of senders: how they sign, and what they send. */
import type { Mutant } from './mutant.ts'

const presets = ['test/edge/auth/presets.test.ts']
const corpus = ['test/corpus/corpus.test.ts']

export const sendersMutants: readonly Mutant[] = [
  {
    name: 'the key of Adyen is a text',
    breaks: 'G2',
    file: 'src/edge/auth/presets.ts',
    find: "  signed: '{body}',\n  secret: { encoding: 'hex' },",
    replace: "  signed: '{body}',",
    tests: presets,
  },
  {
    name: 'Box has one key',
    breaks: 'G2',
    file: 'src/edge/auth/presets.ts',
    find: "preset(\n  'box',\n  /* @__PURE__ */ boxHmac('primary'),\n  /* @__PURE__ */ boxHmac('secondary'),\n)",
    replace: "preset('box', /* @__PURE__ */ boxHmac('primary'))",
    tests: presets,
  },
  {
    name: 'Webflow’s time is in seconds',
    breaks: 'G2',
    file: 'src/edge/auth/presets.ts',
    find: "timestamp: { header: 'x-webflow-timestamp', unit: 'ms' }",
    replace: "timestamp: { header: 'x-webflow-timestamp', unit: 's' }",
    tests: presets,
  },
  {
    name: 'a plus sign in a form is a plus sign',
    breaks: 'G6',
    file: 'src/edge/http/form.ts',
    find: "decodeURIComponent(text.replaceAll('+', ' '))",
    replace: 'decodeURIComponent(text)',
    tests: corpus,
  },
  {
    name: 'a greeting is an event',
    breaks: 'G2',
    file: 'src/edge/routes/hook-auth.ts',
    find: 'secrets: [secret] })) === true) return greeting',
    replace: 'secrets: [secret] })) === true) return undefined',
    tests: corpus,
  },
  {
    name: 'what can’t be mapped is acknowledged and dropped',
    breaks: 'G2',
    file: 'src/edge/routes/hook-events.ts',
    find: '    await bury({',
    replace: '    void ({',
    tests: ['test/fuzz/fuzz.test.ts'],
  },
]
