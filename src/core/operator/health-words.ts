/** What the checks and the breaker say, in words. */

/** What each check says when it is not well. */
const checkWords: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  store: { fail: 'updates cannot be kept' },
  ledger: {
    warn: 'it lost its state in the last 24 h, or its clock jumped: what it does not know counts as spent',
    fail: 'it does not answer, or is another account’s: nothing is sent',
  },
  target: {
    warn: 'calls are held back (paused, or Target fails)',
    fail: 'it takes no call: the address or TARGET_TOKEN is wrong, or it refuses everybody',
  },
  token: { warn: 'TARGET_TOKEN ends within 14 days', fail: 'TARGET_TOKEN has ended' },
  cron: { warn: 'no flush for 5 minutes: what waits is not sent' },
  encryption: { warn: 'BACKLOG_KEYS is not set: what waits is not encrypted' },
  sources: { warn: 'a source has no secret, or one that it cannot use' },
  clocks: { warn: 'the clock of a source is ahead: its events are dated by their arrival' },
}

/** Undefined where it is well, or a later version's. */
export function checkInWords(name: string, verdict: string): string | undefined {
  return checkWords[name]?.[verdict]
}

const causes: Readonly<Record<string, string>> = {
  unavailable: 'Target fails (unavailable); probes find out when it is well again',
  misconfigured: 'Target says that our address or token is wrong (misconfigured): TARGET_ORIGIN, TARGET_TOKEN',
  systemic: 'Target refuses everybody (systemic): TARGET_CLIENT_CODE, or its account',
}

/** Why a breaker is open. */
export function causeInWords(cause: string): string {
  return causes[cause] ?? cause
}
