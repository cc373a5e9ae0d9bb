/**
 * Spans of the platform's own tracing, where it has one (Workers). A span has a name and a length, and nothing of what
 * it is about (G8).
 */

/** docs/observability.md, "Spans", says what each is. */
export type SpanName = 'admit' | 'call' | 'settle' | 'put' | 'bury'

/** Does `work` within a span; answers or rejects as it does. */
export type Span = <T>(name: SpanName, work: () => Promise<T>) => Promise<T>

/** For runtimes without tracing. */
export const noSpan: Span = (_, work) => work()
