/** Adobe Target as the door sees it: one call, one answer. */
import type { Answer } from './answer.ts'
import type { Call } from './calls.ts'

export interface Target {
  /**
   * Makes one HTTP request at most. Never rejects: silence is an answer too, and leaves the call's fate open.
   *
   * @param startByMs when it must have started at the latest, epoch ms
   */
  send(
    call: Call,
    startByMs: number,
  ): Promise<
    | Answer
    | { readonly kind: 'unanswered'; readonly why: 'timeout' | 'network' }
    /** `limit`: the platform lets this invocation start no more of them. */
    | { readonly kind: 'unsent'; readonly why: 'limit' | 'late' }
  >
}
