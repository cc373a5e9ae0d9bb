/**
 * Forms (`application/x-www-form-urlencoded`), strictly: a malformed escape or malformed UTF-8 is refused, not
 * repaired.
 */

/** Names and values in their order; undefined if it is not a form in UTF-8. */
export function decodeForm(form: string): readonly (readonly [name: string, value: string])[] | undefined {
  try {
    return form
      .split('&')
      .filter((part) => part !== '')
      .map((part) => {
        const equals = part.indexOf('=')
        const [name, value] = equals === -1 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)]
        return [decode(name), decode(value)] as const
      })
  } catch {
    return undefined
  }
}

export function isForm(contentType: string | null): boolean {
  return /^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType ?? '')
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}
