import { describe, expect, it } from 'vitest'
import { parseSettings } from '../../src/relay/settings.ts'

const shared = 'one-secret-of-32-bytes-for-two-purposes'
const good = { TARGET_CLIENT_CODE: 'demo', HASH_KEY: 'k'.repeat(32) }

/** Long enough for a token. */
const long = (number: number) => `a-made-up-token-number-${number}`

describe('settings', () => {
  it('has the defaults that docs/settings.md states', () => {
    expect(parseSettings(good)).toMatchObject({
      ok: true,
      settings: {
        targetOrigin: 'https://demo.tt.omtrdc.net',
        targetMethod: 'post',
        quotaLimit: 999_000,
        quotaWindowMs: 86_400_000,
        quotaBucketMs: 60_000,
        quotaSlackMs: 15_000,
        replayReserve: 0.05,
        pace: 'none',
        apiSkipsUnchanged: false,
        answerDeadlineMs: 2_500,
        ledgerTimeoutMs: 1_500,
        flushMaxOps: 900,
        flushMaxCalls: 9_000,
        retentionHours: 72,
      },
    })
  })

  it('reads lists and the secrets of sources, and ignores bindings', () => {
    const parsed = parseSettings({
      ...good,
      API_TOKENS: `${long(1)}, ${long(2)}`,
      HOOK_SECRET_CALL_CENTRE: 'a-secret,b-secret',
      BACKLOG: {},
      LEDGER: {},
    })
    if (!parsed.ok) throw new Error(parsed.problems.join())
    expect(parsed.settings.apiTokens).toEqual([
      { token: long(1), lane: 'live' },
      { token: long(2), lane: 'live' },
    ])
    expect([...parsed.settings.hookSecrets]).toEqual([['call-centre', ['a-secret', 'b-secret']]])
  })

  it('reads secrets that hold a comma from a JSON list', () => {
    const parsed = parseSettings({
      ...good,
      HOOK_SECRET_LOAN: '["a,secret", "[another]"]',
      API_TOKENS: `["bulk:,${long(1)}"]`,
    })
    expect(parsed.ok && [...parsed.settings.hookSecrets]).toEqual([['loan', ['a,secret', '[another]']]])
    expect(parsed.ok && parsed.settings.apiTokens).toEqual([{ token: `,${long(1)}`, lane: 'bulk' }])
  })

  it('trims what a file or a console left around a value, for every setting', () => {
    const settings = {
      ...good,
      ADMIN_TOKEN: long(1),
      API_TOKENS: long(2),
      TARGET_TOKEN: 'a token',
      TARGET_METHOD: 'auto',
      HOOK_SECRET_LOAN: 'a-secret',
    }
    const spaced = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, `\ufeff ${value}\r\n`]))
    expect(parseSettings(spaced)).toEqual(parseSettings(settings))
    expect(parseSettings({ ...good, TARGET_TOKEN: ' \n' })).toEqual(parseSettings(good))
  })

  it('grants a token its lane, but never replay', () => {
    const parsed = parseSettings({
      ...good,
      API_TOKENS: `bulk:${long(1)},high:h:${long(2)},live:${long(3)},${long(4)}`,
    })
    expect(parsed.ok && parsed.settings.apiTokens).toEqual([
      { token: long(1), lane: 'bulk' },
      { token: `h:${long(2)}`, lane: 'high' },
      { token: long(3), lane: 'live' },
      { token: long(4), lane: 'live' },
    ])
  })

  it.each([
    [{ TARGET_CLIENT_CODE: undefined }, 'TARGET_CLIENT_CODE is required'],
    [{ TARGET_CLIENT_CODE: 'Demo!' }, 'TARGET_CLIENT_CODE must be lower-case'],
    [{ HASH_KEY: undefined }, 'HASH_KEY is required'],
    [{ HASH_KEY: 'planted-short' }, 'HASH_KEY must have 32 bytes'],
    [{ TARGET_ORIGIN: 'http://planted.example' }, 'TARGET_ORIGIN must be an https'],
    [{ TARGET_ORIGIN: 'https://planted.example/path' }, 'TARGET_ORIGIN must be an https'],
    [{ TARGET_METHOD: 'put' }, 'TARGET_METHOD must be'],
    [{ QUOTA_LIMIT: '1000001' }, 'QUOTA_LIMIT must be a whole number from 1 to 1000000'],
    [{ QUOTA_LIMIT: '1e3' }, 'QUOTA_LIMIT must be a whole number'],
    [{ QUOTA_WINDOW_MS: '10000', QUOTA_BUCKET_MS: '101' }, 'QUOTA_BUCKET_MS must be at most a hundredth'],
    [{ QUOTA_BUCKET_MS: '8639' }, 'QUOTA_BUCKET_MS must be at least a ten-thousandth of QUOTA_WINDOW_MS'],
    [{ REPLAY_RESERVE: '2' }, 'REPLAY_RESERVE must be'],
    [{ UPSTASH_REDIS_REST_URL: 'https://planted.upstash.io' }, 'UPSTASH_REDIS_REST_TOKEN is missing'],
    [{ UPSTASH_REDIS_REST_TOKEN: 'planted-token' }, 'UPSTASH_REDIS_REST_URL is missing'],
    [{ API_TOKENS: 'planted-a,,planted-b' }, 'API_TOKENS has an empty item'],
    [{ API_TOKENS: 'replay:planted' }, 'API_TOKENS has a token with a prefix that is no lane'],
    [{ TARGET_CLIENT_CODE: '' }, 'TARGET_CLIENT_CODE is required'],
    [{ HOOK_SECRET_LOAN: 'planted,' }, 'HOOK_SECRET_LOAN has an empty item'],
    [{ API_TOKENS: 'planted-of-19-chars' }, 'API_TOKENS must have 20 characters or more'],
    [
      { API_TOKENS: `bulk:planted-short,${long(1)}` },
      'API_TOKENS must have 20 characters or more, and item 1 of 2 does not',
    ],
    [{ API_TOKENS: 'planted with white space' }, 'API_TOKENS must be ASCII without white space'],
    [{ ADMIN_TOKEN: 'planted-of-19-chars' }, 'ADMIN_TOKEN must have 20 characters or more'],
    [{ ADMIN_TOKEN: 'planted-ünd-nö-header-holds-it' }, 'ADMIN_TOKEN must be ASCII without white space'],
    // Behind its name it is too short.
    [{ VIEW_TOKEN: 'planted=planted-short' }, 'VIEW_TOKEN must have 20 characters or more'],
    [
      { ADMIN_TOKEN: `planted=${long(1)},planted-short` },
      'ADMIN_TOKEN must have 20 characters or more, and item 2 of 2 does not',
    ],
    [{ ALERT_URL: 'https://planted.example/x' }, 'ALERT_URL and ALERT_SECRET go together'],
    [{ ALERT_URL: 'http://planted.example/x' }, 'ALERT_URL must be an https:// address'],
    [{ ALERT_URL: 'https://planted:planted@alerts.example/x' }, 'ALERT_URL must be an https:// address'],
    [{ ALERT_SECRET: 'whsec_planted' }, 'ALERT_SECRET must be base64 of 24 bytes or more'],
    [{ ADMIN_ACCESS: 'planted' }, 'ADMIN_ACCESS must be a list of e-mail addresses'],
    [{ HOOK_SECRET_LOAN: 'planted' }, 'HOOK_SECRET_LOAN must have 8 characters or more'],
    [
      { HOOK_SECRET_LOAN: 'user:planted' },
      'HOOK_SECRET_LOAN must have 8 characters or more (behind a label or user and its colon)',
    ],
    // A comma cut a secret in two.
    [
      { HOOK_SECRET_LOAN: 'long-planted-secret,tail' },
      'item 2 of 2 does not (a secret that holds a comma goes into a JSON list: ["…"])',
    ],
    [{ HOOK_SECRET_LOAN: '[planted-secret' }, 'HOOK_SECRET_LOAN begins with [ and is no JSON list of texts'],
    [{ HOOK_SECRET_LOAN: '["planted-secret", 5]' }, 'HOOK_SECRET_LOAN begins with [ and is no JSON list of texts'],
    [{ HOOK_SECRET_LOAN: '["planted-secret", " "]' }, 'HOOK_SECRET_LOAN has an empty item'],
    [{ HOOK_SECRET_LOAN: '[]' }, 'HOOK_SECRET_LOAN is empty'],
    [{ BACKLOG_KEYS: 'planted:abc' }, 'BACKLOG_KEYS must be a ring'],
    [{ BACKLOG_KEYS: 'planted:cGxhbnRlZA==' }, 'BACKLOG_KEYS must be a ring'],
    [{ BACKLOG_KEYS: 'planted' }, 'BACKLOG_KEYS must be a ring'],
  ])('names what is wrong with %j, and repeats no value', (wrong, message) => {
    const parsed = parseSettings({ ...good, ...wrong })
    if (parsed.ok) throw new Error('the settings were accepted')
    expect(parsed.problems.join('; ')).toContain(message)
    expect(parsed.problems.join('; ')).not.toContain('planted')
  })

  const key = (byte: number) => Buffer.alloc(32, byte).toString('base64')
  it.each<[string, Record<string, string>, string]>([
    [
      'two keys under one id, of which one would have to open what the other sealed',
      { BACKLOG_KEYS: `k:${key(1)},k:${key(2)}` },
      'two keys of one id',
    ],
    [
      'an admin token that is also an API token',
      { ADMIN_TOKEN: shared, API_TOKENS: `bulk:${shared}` },
      'API_TOKENS holds the same secret as ADMIN_TOKEN',
    ],
    [
      'an admin token that is also a sender’s secret',
      { ADMIN_TOKEN: shared, HOOK_SECRET_LOAN: `a-secret,${shared}` },
      'HOOK_SECRET_LOAN holds the same secret as ADMIN_TOKEN',
    ],
    [
      'an admin token that is also a sender’s password',
      { ADMIN_TOKEN: shared, HOOK_SECRET_LOAN: `admin:${shared}` },
      'HOOK_SECRET_LOAN holds',
    ],
    [
      'an API token that is also a sender’s secret',
      { API_TOKENS: shared, HOOK_SECRET_LOAN: `plain:${shared}` },
      'HOOK_SECRET_LOAN holds the same secret as API_TOKENS',
    ],
    [
      'a hash key that is also a token',
      { HASH_KEY: shared, API_TOKENS: shared },
      'API_TOKENS holds the same secret as HASH_KEY',
    ],
    [
      'a token of both roles',
      { ADMIN_TOKEN: `alice=${shared}`, VIEW_TOKEN: shared },
      'VIEW_TOKEN holds the same secret as ADMIN_TOKEN',
    ],
    ['a token of two operators', { ADMIN_TOKEN: `alice=${shared},bob=${shared}` }, 'ADMIN_TOKEN holds one token twice'],
    ['a token on two lanes', { API_TOKENS: `high:${shared},bulk:${shared}` }, 'API_TOKENS grants one token two lanes'],
  ])('rejects %s, and does not repeat it', (_, wrong, message) => {
    const parsed = parseSettings({ ...good, ...wrong })
    if (parsed.ok) throw new Error('the settings were accepted')
    expect(parsed.problems.join('; ')).toContain(message)
    expect(parsed.problems.join('; ')).not.toContain(shared)
  })

  it('operators: lists of tokens, each perhaps with a name; the end of base64 is none', () => {
    const padded = `${'A'.repeat(30)}==`
    const parsed = parseSettings({
      ...good,
      ADMIN_TOKEN: `alice=${long(1)}, ${padded}`,
      VIEW_TOKEN: `bob.b-1=${padded.replace('A', 'B')}`,
      ADMIN_ACCESS: 'Alice@Example.com',
    })
    if (!parsed.ok) throw new Error(parsed.problems.join())
    expect(parsed.settings.operators).toEqual([
      { role: 'admin', name: 'alice', token: long(1) },
      { role: 'admin', token: padded },
      { role: 'view', name: 'bob.b-1', token: padded.replace('A', 'B') },
    ])
    expect(parsed.settings.adminAccess).toEqual(['alice@example.com'])
  })

  it('two sources may share the secret of the app that sends to both, and a token may be listed twice for its lane', () => {
    expect(
      parseSettings({
        ...good,
        HOOK_SECRET_A: 'a-secret',
        HOOK_SECRET_B: 'a-secret',
        API_TOKENS: `${long(1)},${long(1)}`,
      }).ok,
    ).toBe(true)
  })

  it.each<[string, Record<string, string>, string]>([
    [
      'a window that lets Adobe’s day through many times over (G1)',
      { QUOTA_WINDOW_MS: '3600000', QUOTA_BUCKET_MS: '1000' },
      'QUOTA_WINDOW_MS lets QUOTA_LIMIT through 24 times',
    ],
    [
      'a slack shorter than a call (G1)',
      { QUOTA_SLACK_MS: '9999' },
      'QUOTA_SLACK_MS must be 10000 or more with TARGET_TIMEOUT_MS 5000',
    ],
    [
      'a slack shorter than a long call (G1)',
      { QUOTA_SLACK_MS: '15000', TARGET_TIMEOUT_MS: '20000' },
      'QUOTA_SLACK_MS must be 25000 or more',
    ],
    [
      'a replay while an admission is in progress (G3)',
      { OUTAGE_SETTLE_MS: '11499' },
      'OUTAGE_SETTLE_MS must be 11500 or more',
    ],
    [
      'a wait longer than the retention (G7)',
      { OUTAGE_SETTLE_MS: '3600000', RETENTION_HOURS: '1' },
      'OUTAGE_SETTLE_MS must be shorter than RETENTION_HOURS',
    ],
    [
      'a flush rarer than the retention (G7)',
      { FLUSH_EVERY_MS: '3600000', RETENTION_HOURS: '1' },
      'FLUSH_EVERY_MS must be shorter than RETENTION_HOURS',
    ],
    [
      'a ledger time-out longer than the answer’s deadline',
      { LEDGER_TIMEOUT_MS: '2501' },
      'LEDGER_TIMEOUT_MS must be at most ANSWER_DEADLINE_MS',
    ],
    [
      'a call that outlives its Worker (G4)',
      { TARGET_TIMEOUT_MS: '25000', LEDGER_TIMEOUT_MS: '1501', ANSWER_DEADLINE_MS: '2500' },
      'TARGET_TIMEOUT_MS and twice LEDGER_TIMEOUT_MS must be 28000 together',
    ],
  ])('rejects %s', (_, wrong, message) => {
    const parsed = parseSettings({ ...good, ...wrong })
    expect(parsed.ok ? [] : parsed.problems).toEqual([expect.stringContaining(message)])
  })

  it('derives defaults from the settings that are set', () => {
    const parsed = parseSettings({ ...good, TARGET_TIMEOUT_MS: '25000', ANSWER_DEADLINE_MS: '1000' })
    expect(parsed).toMatchObject({
      ok: true,
      settings: { quotaSlackMs: 30_000, outageSettleMs: 120_000, ledgerTimeoutMs: 1_000 },
    })
  })

  it('accepts each of them at its limit, and a window of seconds only against a stand-in on loopback', () => {
    const limits = {
      QUOTA_LIMIT: '41666',
      QUOTA_WINDOW_MS: '3600000',
      QUOTA_BUCKET_MS: '1000',
      QUOTA_SLACK_MS: '10000',
      OUTAGE_SETTLE_MS: '12500',
      LEDGER_TIMEOUT_MS: '2500',
    }
    expect(parseSettings({ ...good, ...limits })).toMatchObject({ ok: true })
    const trial = { QUOTA_WINDOW_MS: '1000', QUOTA_BUCKET_MS: '10', QUOTA_SLACK_MS: '0', OUTAGE_SETTLE_MS: '0' }
    expect(parseSettings({ ...good, ...trial, TARGET_ORIGIN: 'http://127.0.0.1:8788' })).toMatchObject({ ok: true })
    expect(parseSettings({ ...good, ...trial, TARGET_ORIGIN: 'https://target.example' }).ok).toBe(false)
  })

  it('accepts http for loopback', () => {
    for (const origin of ['http://127.0.0.1:8788', 'http://localhost:1', 'http://[::1]:1'])
      expect(parseSettings({ ...good, TARGET_ORIGIN: origin }).ok).toBe(true)
  })
})
