/** How the emulator answers. */
import type { ServerResponse } from 'node:http'

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
