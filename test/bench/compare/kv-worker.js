/**
 * As much of Workers KV as workerd asks for by HTTP, in memory: the relay's object reads and writes one key of it when it
 * starts, and an update that is delivered never asks for it. JavaScript, since workerd reads it as it is. A cursor is the
 * last name that was listed.
 */
const entries = new Map()

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url)
    const key = decodeURIComponent(pathname.slice(1))
    if (request.method === 'PUT') {
      entries.set(key, { value: await request.arrayBuffer(), metadata: request.headers.get('cf-kv-metadata') })
      return new Response()
    }
    if (pathname === '/bulk/get') {
      const { keys } = await request.json()
      const decoder = new TextDecoder()
      return Response.json(
        Object.fromEntries(
          keys.map((name) => [name, entries.has(name) ? decoder.decode(entries.get(name).value) : null]),
        ),
      )
    }
    if (request.method === 'DELETE') {
      entries.delete(key)
      return new Response()
    }
    if (key === '') {
      const [prefix, after] = [searchParams.get('prefix') ?? '', searchParams.get('cursor') ?? '']
      const limit = Number(searchParams.get('key_count_limit') ?? 1_000)
      const names = [...entries.keys()].filter((name) => name.startsWith(prefix) && name > after).sort()
      const keys = names.slice(0, limit).map((name) => {
        const { metadata } = entries.get(name)
        return { name, ...(metadata === null ? {} : { metadata: JSON.parse(metadata) }) }
      })
      return Response.json(
        names.length > limit ? { keys, list_complete: false, cursor: names[limit - 1] } : { keys, list_complete: true },
      )
    }
    const found = entries.get(key)
    if (found === undefined) return new Response(null, { status: 404 })
    const headers = found.metadata === null ? {} : { 'cf-kv-metadata': found.metadata }
    return new Response(found.value, { headers })
  },
}
