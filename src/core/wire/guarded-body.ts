/**
 * A request body that looks at the clock once more when the connection stands.
 *
 * A process that is suspended while it connects (a laptop asleep, a paused machine, a frozen container) would send its old
 * value when it wakes, long after a newer one was delivered. A body is asked for only as the connection takes it: so its
 * first byte goes, and before all others the clock is read; when it is too late the body breaks off, and a request whose
 * body is not whole is none.
 *
 * Known hole: Deno asks for the whole body before it connects, and a GET has no body; there the last look is before the
 * call. A process that is suspended between this look and the write behind it is not noticed either.
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
