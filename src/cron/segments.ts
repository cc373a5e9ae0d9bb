/**
 * Parts of the ring of visitor hashes, by their leading digit, where several runs share it.
 *
 * Guarantee: each visitor belongs to one segment of a division, so that no two runs of it meet.
 */

export const hexDigits = '0123456789abcdef'

/** One of `of` parts; `index` counts from 0. */
export interface Segment {
  readonly index: number
  readonly of: number
}

/** The whole ring in `count` parts, 1..16. They are of one size where `count` divides 16. */
export function segmentsOf(count: number): readonly Segment[] {
  return Array.from({ length: count }, (_, index) => ({ index, of: count }))
}

/** Whether a visitor hash, or the beginning of one, lies in it. Nothing begins with ''. */
export function holds({ index, of }: Segment, hash: string): boolean {
  const at = hexDigits.indexOf(hash.slice(0, 1))
  return hash !== '' && at >= edge(index, of) && at < edge(index + 1, of)
}

/** Its first digit. */
export function firstDigit({ index, of }: Segment): string {
  return hexDigits[edge(index, of)] ?? ''
}

function edge(index: number, of: number): number {
  return Math.floor((index * hexDigits.length) / of)
}
