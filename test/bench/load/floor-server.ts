/** The floor on Node, Deno and Bun, behind the same server as the relay. Prints its port once it listens. */
import { listen } from '../../../src/server/listen.ts'
import { answerPlainly } from './floor.ts'

const env = {
  TARGET_ORIGIN: process.env['TARGET_ORIGIN'] ?? '',
  TARGET_CLIENT_CODE: process.env['TARGET_CLIENT_CODE'] ?? '',
}
const { url } = await listen((request) => answerPlainly(request, env), { host: '127.0.0.1', port: 0 })
console.log(`port ${new URL(url).port}`)
