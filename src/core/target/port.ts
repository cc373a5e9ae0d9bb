/** Adobe Target as the door sees it: one call, one answer. */
import type { Answer } from '../answer.ts'
import type { Call } from '../codec.ts'

export interface Target {
  /**
   * Makes one HTTP request at most. Never rejects: silence is an answer too, and leaves the call's fate open. `unsent`: the
   * platform lets this invocation start no more of them.
   */
  send(call: Call): Promise<Answer | { readonly kind: 'unanswered'; readonly why: 'timeout' | 'network' } | { readonly kind: 'unsent' }>
}
