/**
 * A request body that checks the clock once more when the connection is open.
 *
 * A process that is suspended while it connects (a laptop asleep, a paused machine, a frozen container) would send its
 * old value when it wakes, long after a newer one was delivered. A body is read only as the connection takes it: its
 * first byte goes, and the clock is read before all others. When it is too late the body ends with an error, and a
 * request whose body is incomplete is not processed.
 *
 * Known hole: Deno asks for the whole body before it connects, and a GET has no body; there the last check is before
 * the call. A process that is suspended between this check and the write after it is not noticed either.
 */

/**
 * @param text at least two bytes, ASCII
 * @param mayStart asked once, when the connection has taken the first byte
 */
export function guardedBody(text: string, mayStart: () => boolean): ReadableStream<Uint8Array<ArrayBuffer>> {
  const bytes = new TextEncoder().encode(text)
  let begun = false
  return new ReadableStream(
    {
      pull(controller) {
        if (!begun) {
          begun = true
          controller.enqueue(bytes.slice(0, 1))
          return
        }
        if (!mayStart()) {
          controller.error(new Error('too late to start'))
          return
        }
        controller.enqueue(bytes.slice(1))
        controller.close()
      },
    },
    // Nothing is asked for in advance.
    { highWaterMark: 0 },
  )
}
