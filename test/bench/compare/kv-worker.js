/**
 * As much of Workers KV as workerd asks for by HTTP, in memory: the relay's object reads and writes one key of it when it
 * starts, and an update that is delivered never asks for it. JavaScript, since workerd reads it as it is.
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
    if (request.method === 'DELETE') {
      entries.delete(key)
      return new Response()
    }
    if (key === '') {
      const keys = [...entries]
        .filter(([name]) => name.startsWith(searchParams.get('prefix') ?? ''))
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([name, { metadata }]) => ({ name, ...(metadata === null ? {} : { metadata: JSON.parse(metadata) }) }))
      return Response.json({ keys, list_complete: true })
    }
    const found = entries.get(key)
    if (found === undefined) return new Response(null, { status: 404 })
    const headers = found.metadata === null ? {} : { 'cf-kv-metadata': found.metadata }
    return new Response(found.value, { headers })
  },
}
