/** Deliberate bugs where requests come in: bodies, readiness, whatever is thrown, settings, answers, copies, clocks. */
import type { Mutant } from './mutant.ts'

const body = ['test/edge/body.test.ts']
const flood = ['test/server/flood.test.ts']
const server = ['test/server/server.test.ts']
const throws = ['test/edge/throws.test.ts']
const strays = ['test/server/throws.test.ts']
const settings = ['test/settings.test.ts']
const live = ['test/core/live.test.ts']
const copies = ['test/edge/copies.test.ts']
const readiness = ['test/readiness.test.ts']

export const edgeMutants: readonly Mutant[] = [
  {
    name: 'JSON ten times as deep',
    breaks: 'security',
    file: 'src/core/limits.ts',
    find: 'jsonDepth: 32',
    replace: 'jsonDepth: 320',
    tests: body,
  },
  {
    name: 'a buffer four times as large as its body',
    breaks: 'security',
    file: 'src/edge/body.ts',
    find: 'Math.max(firstBufferBytes, 2 * buffer.byteLength, size + value.byteLength)',
    replace: 'Math.max(firstBufferBytes, 4 * buffer.byteLength, size + value.byteLength)',
    tests: body,
  },
  {
    name: 'the room of a body that was given up is never free again',
    breaks: 'G7',
    file: 'src/edge/body.ts',
    find: 'hold(-buffer.byteLength)',
    replace: 'if (!isLate) hold(-buffer.byteLength)',
    tests: body,
  },
  {
    name: 'bodies without a bound together',
    breaks: 'security',
    file: 'src/edge/body.ts',
    find: 'room.heldBytes + wanted - buffer.byteLength > room.maxBytes',
    replace: 'room.heldBytes > Number.MAX_SAFE_INTEGER',
    tests: body,
  },
  {
    name: 'each chunk of a body is kept',
    breaks: 'security',
    file: 'src/listen.ts',
    find: 'counted(withLeanBody(request, incoming as IncomingMessage))',
    replace:
      'counted(((chunks: unknown[]) => (incoming.on("data", (chunk: Buffer) => chunks.push({ chunk, at: new Date(), more: [chunk] })), withLeanBody(request, incoming as IncomingMessage)))([]))',
    tests: flood,
  },
  {
    name: 'a stop that waits once',
    breaks: 'G2',
    file: 'src/server.ts',
    find: 'while (behind.size > 0) await Promise.all(behind)',
    replace: 'await Promise.all(behind)',
    tests: server,
  },
  {
    name: 'what is no error ends the process',
    breaks: 'G2',
    file: 'src/edge/problem.ts',
    find: "throw thrown instanceof Error ? thrown : new Error('something that is no error was thrown')",
    replace: 'throw thrown',
    tests: throws,
  },
  {
    name: 'a proof that throws is a no',
    breaks: 'G2',
    file: 'src/edge/hooks.ts',
    find: "    return 'unavailable'\n  }\n}\n\n/** A sender that only asks",
    replace: '    return false\n  }\n}\n\n/** A sender that only asks',
    tests: throws,
  },
  {
    name: 'whatever a proof gives is a yes',
    breaks: 'security',
    file: 'src/edge/hooks.ts',
    find: "if (proven !== true) return problem(c, 'unauthenticated')",
    replace: "if (!proven) return problem(c, 'unauthenticated')",
    tests: throws,
  },
  {
    name: 'a stray promise ends the process',
    breaks: 'G2',
    file: 'src/server.ts',
    find: "process.on('unhandledRejection', stray)",
    replace: 'void stray',
    tests: strays,
  },
  {
    name: 'each stranger asks the ledger',
    breaks: 'security',
    file: 'src/readiness.ts',
    find: 'flight ??= fresh()',
    replace: 'flight = fresh()',
    tests: readiness,
  },
  {
    name: 'an answer that was true once',
    breaks: 'G7',
    file: 'src/readiness.ts',
    find: 'Math.abs(clock.now() - last.atMs) < rememberedMs',
    replace: 'clock.now() - last.atMs < rememberedMs',
    tests: readiness,
  },
  {
    name: 'two keys of one id',
    breaks: 'G2',
    file: 'src/settings.ts',
    find: 'items.filter((other) => other.startsWith(`$'.concat('{id}:`)).length > 1'),
    replace: 'items.filter((other) => other === item).length > 1',
    tests: settings,
  },
  {
    name: 'an admin token that a sender has as its password',
    breaks: 'security',
    file: 'src/settings.ts',
    find: "[secret, secret.slice(secret.indexOf(':') + 1)]",
    replace: '[secret]',
    tests: settings,
  },
  {
    name: 'a slack shorter than a call',
    breaks: 'G1',
    file: 'src/settings.ts',
    find: '!isTrial && given.QUOTA_SLACK_MS < flightMs',
    replace: '!isTrial && given.QUOTA_SLACK_MS < flightMs / 2',
    tests: settings,
  },
  {
    name: 'a window that lets a day through many times',
    breaks: 'G1',
    file: 'src/settings.ts',
    find: 'given.QUOTA_LIMIT * Math.ceil(dayMs / windowMs) > adobeQuota',
    replace: 'given.QUOTA_LIMIT > adobeQuota',
    tests: settings,
  },
  {
    name: 'what nobody asked Target about is rejected',
    breaks: 'G2',
    file: 'src/core/live.ts',
    find: 'if (fates.some(isRefused)) return { status:',
    replace: "if (fates.some((fate) => standing(fate) === 'dead')) return { status:",
    tests: live,
  },
  {
    name: 'a copy is good for ever',
    breaks: 'G3',
    file: 'src/edge/mapping.ts',
    find: 'source.needsTime && read.drafts.some',
    replace: 'source.needsTime && read.drafts.every(({ id }) => id === null) && read.drafts.some',
    tests: copies,
  },
  {
    name: 'a sample without a time will do',
    breaks: 'G3',
    file: 'src/edge/source.ts',
    find: 'tried.drafts.every(({ occurredAt }) => occurredAt !== undefined)',
    replace: 'tried.drafts.length > 0',
    tests: copies,
  },
  {
    name: 'of several ways one that takes copies is forgotten',
    breaks: 'G3',
    file: 'src/edge/auth/scheme.ts',
    find: 'schemes.some(takesCopies)',
    replace: 'schemes.every(takesCopies)',
    tests: copies,
  },
  {
    name: 'a known lead is added',
    breaks: 'G3',
    file: 'src/core/prepare.ts',
    find: 'saidMs - clockAheadMs',
    replace: 'saidMs + clockAheadMs',
    tests: copies,
  },
  {
    name: 'the last lead counts, not the largest',
    breaks: 'G3',
    file: 'src/core/live.ts',
    find: 'leads[source] = Math.max(leadMs, leads[source] ?? 0)',
    replace: 'leads[source] = leadMs',
    tests: copies,
  },
]
