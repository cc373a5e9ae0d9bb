/** A deliberate bug: a small patch, and the tests that must notice it. */
export interface Mutant {
  readonly name: string
  /** The guarantee it breaks (README, "What it promises"), or `security` (SECURITY.md). */
  readonly breaks: string
  readonly file: string
  /** Exact text that occurs once, and what stands there instead. */
  readonly find: string
  readonly replace: string
  readonly tests: readonly string[]
}
