/** The links of a documentation page, and the anchors that it offers. */
import { dirname, join, normalize } from 'node:path'

/** A link to a page, or to a section of one. */
export interface Link {
  /** The path from the root of the repository. */
  readonly path: string
  readonly anchor?: string
}

/** The address under which the repository's own pages are linked. */
const ownAddress = /^https:\/\/github\.com\/target-relay\/target-relay\/(?:blob|tree)\/main\//

const withoutCode = (text: string) => text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '')

/** Every link target as written, inline or by reference. */
function targetsOf(text: string): readonly string[] {
  const plain = withoutCode(text)
  return [...plain.matchAll(/\]\(([^)\s]+)\)/g), ...plain.matchAll(/^\[[^\]]+\]: (\S+)$/gm)].map(
    ([, target = '']) => target,
  )
}

function linkOf(target: string, page: string): Link {
  const [path = '', anchor] = target.split('#')
  const from = path === '' ? page : normalize(join(dirname(page), path))
  return { path: from.replace(/\/$/, ''), ...(anchor === undefined ? {} : { anchor }) }
}

/** The relative links of a page. @param page its path from the root of the repository */
export function relativeLinks(text: string, page: string): readonly Link[] {
  return targetsOf(text)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => linkOf(target, page))
}

/** The links of a page that name this repository's address. */
export function ownLinks(text: string): readonly Link[] {
  return targetsOf(text)
    .filter((target) => ownAddress.test(target))
    .map((target) => linkOf(target.replace(ownAddress, ''), ''))
}

/** The headings of a page, without backticks. */
export function headingsOf(text: string): readonly string[] {
  return [...text.replace(/```[\s\S]*?```/g, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading.replaceAll('`', ''),
  )
}

/** The anchors of a page, as GitHub and npm name its headings. */
export function anchorsOf(text: string): readonly string[] {
  return headingsOf(text).map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
}
