/** The floor on workerd. */
import type { PlainEnv } from '../compare/plain-target.ts'
import { answerPlainly } from './floor.ts'

export default { fetch: (request: Request, env: PlainEnv) => answerPlainly(request, env) }
