/** Why an update was not delivered at once, as the answer to its sender names it. */

export const deferReasons = [
  'quota',
  'contended',
  'target_unavailable',
  'ledger_unavailable',
  'paused',
  'slow',
  'delayed',
  'clock',
] as const
export type DeferReason = (typeof deferReasons)[number]

/** Why an entry waits: for what its sender was answered, or since a plan put it back from the dead letters. */
export const waitReasons = [...deferReasons, 'plan'] as const
export type WaitReason = (typeof waitReasons)[number]

/**
 * Why an update lies in the dead letters although Target was not asked: it is older than the retention; the ledger lost
 * its state since; a newer value whose fate is unknown kept it waiting until it expired; or it fits in no call.
 */
export const setAsideReasons = ['expired', 'ledger_lost', 'overtaken_unconfirmed', 'unfit'] as const
export type SetAsideReason = (typeof setAsideReasons)[number]
