/** What senders need beyond a signature and JSON: handshakes, confirmations, headers, bodies of several events. */
import type { Mutant } from './mutant.ts'

const greet = ['test/edge/source/greet.test.ts']
const senders = ['test/edge/routes/senders.test.ts']
const envelopes = ['test/edge/source/envelopes.test.ts']

export const handshakesMutants: readonly Mutant[] = [
  {
    name: 'a greeting answers any markup',
    breaks: 'security',
    file: 'src/edge/source/greet.ts',
    find: '!/[<>]/.test(text)',
    replace: "text !== '<'",
    tests: greet,
  },
  {
    name: 'a greeting may set a cookie',
    breaks: 'security',
    file: 'src/edge/source/greet.ts',
    find: 'headerName.test(name) && isShort(value)) &&',
    replace: 'name !== isShort.name && isShort(value)) &&',
    tests: greet,
  },
  {
    name: 'an echo has any length',
    breaks: 'security',
    file: 'src/edge/source/greet.ts',
    find: 'value.length <= maxEchoChars && echoable.test(value)',
    replace: 'echoable.test(value)',
    tests: greet,
  },
  {
    name: 'a greeting authenticates',
    breaks: 'security',
    file: 'src/edge/routes/hooks.ts',
    find: 'if (greeted !== undefined) return greeted',
    replace:
      'if (greeted !== undefined) return takeEvents(c, parts, source, { authenticated: { request }, body: await readEvents(source, { request }), isTrial })',
    tests: senders,
  },
  {
    name: 'strangers may keep as many confirmations as they like',
    breaks: 'security',
    file: 'src/edge/source/confirmations.ts',
    find: 'return false',
    replace: 'await Promise.resolve()',
    tests: senders,
  },
  {
    name: 'a confirmation of any size is kept',
    breaks: 'security',
    file: 'src/edge/routes/hook-greet.ts',
    find: 'body.byteLength > maxKeptBytes',
    replace: 'body.byteLength > 1_000 * maxKeptBytes',
    tests: senders,
  },
  {
    name: 'a dead letter keeps every header',
    breaks: 'G8',
    file: 'src/edge/routes/hook-events.ts',
    find: 'const headers = namedHeaders(source, all)',
    replace: 'const headers = Object.fromEntries(all)',
    tests: senders,
  },
  {
    name: 'a dead letter forgets the headers that its mapping reads',
    breaks: 'G2',
    file: 'src/core/backlog/entry-format.ts',
    find: 'headers: g,',
    replace: '',
    tests: ['test/core/backlog/entry-format.test.ts'],
  },
  {
    name: 'one bad event takes all of its body along',
    breaks: 'G2',
    file: 'src/edge/routes/hook-events.ts',
    find: 'const good = events.flatMap(({ mapped: one }) => (one.ok ? one : []))',
    replace:
      'const good = events.some(({ mapped: one }) => !one.ok) ? [] : events.flatMap(({ mapped: one }) => (one.ok ? one : []))',
    tests: senders,
  },
  {
    name: 'one event of a body loses the digits of its id in quarantine',
    breaks: 'G6',
    file: 'src/core/json.ts',
    find: 'rawJson(String(value)) : value',
    replace: 'Number(value) : value',
    tests: senders,
  },
  {
    name: 'the events of a body have no order',
    breaks: 'G3',
    file: 'src/edge/source/mapping.ts',
    find: 'if (one.ok) place += one.updates.length',
    replace: 'if (one.ok) place += 0',
    tests: senders,
  },
  {
    name: 'base64 is read as Latin-1',
    breaks: 'G6',
    file: 'src/edge/source/envelopes.ts',
    find: 'decodeUtf8(bytes)',
    replace: "new TextDecoder('latin1').decode(bytes)",
    tests: envelopes,
  },
  {
    name: 'of two keys in the query one is enough',
    breaks: 'security',
    file: 'src/edge/auth/tokens.ts',
    find: "others.length > 0 ? 'malformed' : judge",
    replace: 'judge',
    tests: ['test/edge/auth/tokens.test.ts'],
  },
  {
    name: 'a date of another weekday is a time',
    breaks: 'security',
    file: 'src/core/time.ts',
    find: '=== text.slice(0, 16) ? timeMs : undefined',
    replace: '!== text ? timeMs : undefined',
    tests: ['test/core/time.test.ts'],
  },
]
