/**
 * The floor: the least that a server can do for an update. It reads the JSON, posts to Target and answers. It authenticates
 * nobody, validates nothing, counts nothing and stores nothing.
 */
import { type PlainEnv, type PlainUpdate, postToTarget } from '../compare/plain-target.ts'

export async function answerPlainly(request: Request, env: Pick<PlainEnv, 'TARGET_ORIGIN' | 'TARGET_CLIENT_CODE'>) {
  const update = (await request.json()) as PlainUpdate
  const status = await postToTarget(env, update)
  return status === 200 ? Response.json({ status: 'submitted' }) : Response.json({ status: 'failed' }, { status: 502 })
}
