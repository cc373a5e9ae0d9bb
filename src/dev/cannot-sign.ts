/** A request of this source can't be made here; the message says why. */
export class CannotSign extends Error {
  override readonly name = 'CannotSign'
}
