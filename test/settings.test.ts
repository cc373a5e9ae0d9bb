import { describe, expect, it } from 'vitest'
import { parseSettings } from '../src/settings.ts'

const good = { TARGET_CLIENT_CODE: 'demo', HASH_KEY: 'k'.repeat(32) }

describe('settings (DESIGN §9)', () => {
  it('has the defaults that the README states', () => {
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
        answerDeadlineMs: 2_500,
        ledgerTimeoutMs: 1_500,
        flushMaxOps: 900,
        flushMaxCalls: 9_000,
        retentionHours: 72,
      },
    })
  })

  it('reads lists and the secrets of sources, and passes over bindings', () => {
    const parsed = parseSettings({ ...good, API_TOKENS: 'one, two', HOOK_SECRET_CALL_CENTRE: 'a,b', BACKLOG: {}, LEDGER: {} })
    if (!parsed.ok) throw new Error(parsed.problems.join())
    expect(parsed.settings.apiTokens).toEqual([
      { token: 'one', lane: 'live' },
      { token: 'two', lane: 'live' },
    ])
    expect([...parsed.settings.hookSecrets]).toEqual([['call-centre', ['a', 'b']]])
  })

  it('grants a token its lane, and never replay’s', () => {
    const parsed = parseSettings({ ...good, API_TOKENS: 'bulk:b,high:h:x,live:l,plain' })
    expect(parsed.ok && parsed.settings.apiTokens).toEqual([
      { token: 'b', lane: 'bulk' },
      { token: 'h:x', lane: 'high' },
      { token: 'l', lane: 'live' },
      { token: 'plain', lane: 'live' },
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
    [{ REPLAY_RESERVE: '2' }, 'REPLAY_RESERVE must be'],
    [{ UPSTASH_REDIS_REST_URL: 'https://planted.upstash.io' }, 'UPSTASH_REDIS_REST_TOKEN is missing'],
    [{ UPSTASH_REDIS_REST_TOKEN: 'planted-token' }, 'UPSTASH_REDIS_REST_URL is missing'],
    [{ API_TOKENS: 'planted-a,,planted-b' }, 'API_TOKENS has an empty item'],
    [{ API_TOKENS: 'replay:planted' }, 'API_TOKENS has a token with a prefix that is no lane'],
    [{ TARGET_CLIENT_CODE: '' }, 'TARGET_CLIENT_CODE is required'],
    [{ HOOK_SECRET_LOAN: 'planted,' }, 'HOOK_SECRET_LOAN has an empty item'],
    [{ BACKLOG_KEYS: 'planted:abc' }, 'BACKLOG_KEYS must be a ring'],
    [{ BACKLOG_KEYS: 'planted:cGxhbnRlZA==' }, 'BACKLOG_KEYS must be a ring'],
    [{ BACKLOG_KEYS: 'planted' }, 'BACKLOG_KEYS must be a ring'],
  ])('names what is wrong with %j, and repeats no value', (wrong, message) => {
    const parsed = parseSettings({ ...good, ...wrong })
    if (parsed.ok) throw new Error('taken for good')
    expect(parsed.problems.join('; ')).toContain(message)
    expect(parsed.problems.join('; ')).not.toContain('planted')
  })

  it('takes http for loopback', () => {
    for (const origin of ['http://127.0.0.1:8788', 'http://localhost:1', 'http://[::1]:1'])
      expect(parseSettings({ ...good, TARGET_ORIGIN: origin }).ok).toBe(true)
  })
})
